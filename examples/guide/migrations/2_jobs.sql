CREATE TABLE jobs (id bigserial PRIMARY KEY, task text NOT NULL, done timestamptz);
