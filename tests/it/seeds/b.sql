insert into seeded (name) values ('b');
