CREATE TABLE part_04 (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, body text NOT NULL);
CREATE INDEX part_04_user ON part_04 (user_id);
