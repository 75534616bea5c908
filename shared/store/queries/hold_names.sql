-- hold_names: make or hold the unique keys of a batch until its end; each answers whose it is.
INSERT INTO unique_keys AS u (tenant, type, key, job_id, until)
SELECT tenant, type, key, job_id, clock_timestamp() + lasts
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::interval[])
       AS asked (tenant, type, key, job_id, lasts)
 ORDER BY tenant, type, key
    ON CONFLICT (tenant, type, key) DO UPDATE SET job_id = u.job_id
RETURNING tenant, type, key, job_id, until;
