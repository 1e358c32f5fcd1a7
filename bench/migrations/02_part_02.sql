CREATE TABLE part_02 (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, body text NOT NULL);
CREATE INDEX part_02_user ON part_02 (user_id);
