CREATE TABLE django_session (
    session_key varchar(40) PRIMARY KEY,
    session_data text NOT NULL,
    expire_date timestamptz NOT NULL
);

CREATE INDEX django_session_expire_date ON django_session (expire_date);
