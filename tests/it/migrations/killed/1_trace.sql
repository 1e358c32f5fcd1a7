create table trace (id int);
