CREATE TABLE part_06 (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, body text NOT NULL);
CREATE INDEX part_06_user ON part_06 (user_id);
