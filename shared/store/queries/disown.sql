-- disown: let idempotency keys of this batch name the jobs that were there before, or nothing at all.
WITH asked AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[])
                  AS a (tenant, caller, key, job_id)
), dropped AS (
    DELETE FROM idempotency_keys k USING asked a
     WHERE (k.tenant, k.caller, k.key) = (a.tenant, a.caller, a.key) AND a.job_id IS NULL
)
UPDATE idempotency_keys k SET job_id = a.job_id
  FROM asked a
 WHERE (k.tenant, k.caller, k.key) = (a.tenant, a.caller, a.key) AND a.job_id IS NOT NULL;
