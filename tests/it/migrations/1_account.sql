CREATE TABLE account (
    name text PRIMARY KEY,
    logins integer NOT NULL DEFAULT 0
);
