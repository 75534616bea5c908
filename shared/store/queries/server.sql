-- server: say which server this is, whether it only follows another one, and what time it has.
SELECT current_setting('server_version_num')::int AS number,
       current_setting('server_version') AS version,
       pg_is_in_recovery() AS is_copy,
       extract(epoch FROM clock_timestamp())::float8 AS now;
