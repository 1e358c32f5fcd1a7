-- PostgreSQL alone: a sequence that a test finds where the seed has left it.
create table visit (id bigserial primary key, name text not null);
insert into visit (name) values ('ada'), ('bob'), ('cleo');
select setval('visit_id_seq', 100);
