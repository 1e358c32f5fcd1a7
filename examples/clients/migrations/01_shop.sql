CREATE TABLE articles (
    id bigserial PRIMARY KEY,
    name text NOT NULL UNIQUE,
    stock integer NOT NULL CHECK (stock >= 0)
);

CREATE TABLE orders (
    id bigserial PRIMARY KEY,
    article bigint NOT NULL REFERENCES articles DEFERRABLE INITIALLY DEFERRED,
    pieces integer NOT NULL
);
