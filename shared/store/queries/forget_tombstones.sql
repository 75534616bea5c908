-- forget_tombstones: after 30 days nobody is told any more that a job once was, nor by which key.
WITH old AS (
    DELETE FROM tombstones
     WHERE (tenant, job_id) IN (
               SELECT tenant, job_id FROM tombstones
                WHERE at < statement_timestamp() - interval '30 days' ORDER BY at LIMIT $1)
    RETURNING job_id
)
DELETE FROM idempotency_keys k USING old WHERE k.job_id = old.job_id;
