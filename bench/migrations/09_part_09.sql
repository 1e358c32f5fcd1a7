CREATE TABLE part_09 (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, body text NOT NULL);
CREATE INDEX part_09_user ON part_09 (user_id);
