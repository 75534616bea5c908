-- drop_names: let go of the unique keys of jobs that are gone; they are held by us.
DELETE FROM unique_keys WHERE job_id = ANY($1::uuid[]);
