-- take_names: give unique keys that are held by us to other jobs.
UPDATE unique_keys u
   SET job_id = asked.job_id, until = clock_timestamp() + asked.lasts
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::interval[])
       AS asked (tenant, type, key, job_id, lasts)
 WHERE (u.tenant, u.type, u.key) = (asked.tenant, asked.type, asked.key);
