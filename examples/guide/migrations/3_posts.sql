CREATE TABLE post (id bigserial PRIMARY KEY, title text NOT NULL);
CREATE TABLE article (number int PRIMARY KEY);
