CREATE TABLE part_08 (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, body text NOT NULL);
CREATE INDEX part_08_user ON part_08 (user_id);
