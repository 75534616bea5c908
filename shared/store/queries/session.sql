-- session: read back what the server made of this session, and how many sessions it takes.
SELECT json_object_agg(name, setting)::text AS settings,
       inet_server_addr() IS NULL AS is_local,
       least(min(setting::int) FILTER (WHERE name = 'max_connections')
               - coalesce(sum(setting::int) FILTER (WHERE name LIKE '%reserved_connections'), 0),
             (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
             (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
       )::int AS seats
  FROM pg_settings
 WHERE name = ANY($1::text[])
    OR name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'max_connections',
                'superuser_reserved_connections', 'reserved_connections');
