create table entry (what text not null);
