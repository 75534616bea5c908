-- forget: clean ended jobs up, and leave a tombstone each: 410 from now on.
WITH gone AS (
    DELETE FROM jobs
     WHERE id IN (SELECT id FROM jobs
                   WHERE id = ANY($1::uuid[]) AND expires_at < clock_timestamp()
                   ORDER BY id FOR UPDATE SKIP LOCKED)
    RETURNING id, tenant, key, state, batch
), events AS (
    DELETE FROM job_events USING gone WHERE job_events.job_id = gone.id
), named AS (
    DELETE FROM effects USING gone WHERE effects.job_id = gone.id
), uses AS (
    DELETE FROM blob_uses USING gone WHERE blob_uses.job_id = gone.id
), ended AS (  -- how it ended is still to be counted
    UPDATE batch_jobs m SET ending = gone.state
      FROM gone JOIN batches b ON b.id = gone.batch AND b.completed_at IS NULL
     WHERE m.job_id = gone.id AND m.batch = b.id
), buried AS (
    INSERT INTO tombstones (tenant, job_id) SELECT tenant, id FROM gone ON CONFLICT DO NOTHING
)
SELECT id, tenant, key FROM gone;
