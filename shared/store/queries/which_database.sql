-- which_database: name this database so that no other bears the name, not even its copy by a dump.
SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || oid AS name
  FROM pg_database WHERE datname = current_database();
