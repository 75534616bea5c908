-- names_of: hold the unique keys of these jobs, before anything else of theirs.
SELECT FROM unique_keys WHERE job_id = ANY($1::uuid[]) ORDER BY tenant, type, key FOR UPDATE;
