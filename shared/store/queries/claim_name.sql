-- claim_name: hold the unique key that an ended job of this tenant had while it lived; say whose it is.
INSERT INTO unique_keys AS u (tenant, type, key, job_id)
SELECT tenant, type, unique_key, id FROM jobs
 WHERE tenant = $1::uuid AND id = $2::uuid AND unique_key IS NOT NULL AND completed_at IS NOT NULL
    ON CONFLICT (tenant, type, key) DO UPDATE SET job_id = u.job_id
RETURNING tenant, type, key, job_id, until;
