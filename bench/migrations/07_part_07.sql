CREATE TABLE part_07 (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, body text NOT NULL);
CREATE INDEX part_07_user ON part_07 (user_id);
