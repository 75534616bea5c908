-- remember: take the idempotency keys of a batch; a key that is taken already is not answered.
INSERT INTO idempotency_keys (tenant, caller, key, fingerprint, job_id)
SELECT tenant, caller, key, fingerprint, job_id
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::uuid[])
       AS asked (tenant, caller, key, fingerprint, job_id)
 ORDER BY tenant, caller, key
    ON CONFLICT DO NOTHING
RETURNING job_id;
