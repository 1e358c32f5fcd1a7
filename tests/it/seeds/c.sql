insert into seeded (name) values ('c');
