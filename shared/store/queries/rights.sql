-- rights: say of what both services need at least whether this session may do it; what is not there is left out.
SELECT name, verb, has_table_privilege(to_regclass(name), verb) AS may
  FROM (VALUES ('jobs', 'SELECT'), ('key_heads', 'SELECT'), ('job_events', 'INSERT'),
               ('outbox', 'INSERT'), ('outbox', 'DELETE'), ('migrations', 'SELECT'))
    AS needed (name, verb)
 WHERE to_regclass(name) IS NOT NULL;
