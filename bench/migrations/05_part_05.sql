CREATE TABLE part_05 (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, body text NOT NULL);
CREATE INDEX part_05_user ON part_05 (user_id);
