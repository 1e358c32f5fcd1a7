CREATE TABLE part_03 (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, body text NOT NULL);
CREATE INDEX part_03_user ON part_03 (user_id);
