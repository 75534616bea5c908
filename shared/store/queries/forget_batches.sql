-- forget_batches: clean batches up that have been over for long enough, with a tombstone each.
WITH old AS (
    DELETE FROM batches
     WHERE id IN (SELECT id FROM batches WHERE expires_at < statement_timestamp()
                   ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING id, tenant
), own AS (
    DELETE FROM batch_jobs USING old WHERE batch_jobs.batch = old.id
), buried AS (
    INSERT INTO tombstones (tenant, job_id) SELECT tenant, id FROM old ON CONFLICT DO NOTHING
)
SELECT id FROM old;
