insert into seeded (name) values ('a');
