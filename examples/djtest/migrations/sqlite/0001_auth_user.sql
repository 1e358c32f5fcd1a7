CREATE TABLE auth_user (
    id integer PRIMARY KEY AUTOINCREMENT,
    password varchar(128) NOT NULL,
    last_login datetime,
    is_superuser boolean NOT NULL,
    username varchar(30) NOT NULL UNIQUE,
    first_name varchar(30) NOT NULL DEFAULT '',
    last_name varchar(30) NOT NULL DEFAULT '',
    email varchar(75) NOT NULL,
    is_staff boolean NOT NULL,
    is_active boolean NOT NULL,
    date_joined datetime NOT NULL
);
