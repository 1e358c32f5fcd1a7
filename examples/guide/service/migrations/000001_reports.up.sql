CREATE TABLE reports (id bigserial PRIMARY KEY, title text NOT NULL);
