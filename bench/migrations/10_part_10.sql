CREATE TABLE part_10 (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, body text NOT NULL);
CREATE INDEX part_10_user ON part_10 (user_id);
