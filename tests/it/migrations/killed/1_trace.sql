create table trace (id int);
do $$ begin
    execute format('alter database %I set app.mode = %L', current_database(), 'it''s a test');
    execute format('alter database %I set search_path = public, pg_temp', current_database());
    execute format('revoke temporary on database %I from public', current_database());
end $$;
