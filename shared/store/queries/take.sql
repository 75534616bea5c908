-- take: hand the relay what nobody confirmed in time, and renew knocked_at of the jobs in it.
WITH late AS (
    UPDATE outbox
       SET due = clock_timestamp() + $1::interval
     WHERE id IN (SELECT id FROM outbox WHERE due <= statement_timestamp()
                   ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING id, route, job_ids, keyed, track_ids
), mine AS (
    SELECT id FROM jobs
     WHERE id IN (SELECT unnest(job_ids) FROM late) AND state = 'queued'
     ORDER BY id
       FOR UPDATE SKIP LOCKED
), fresh AS (
    UPDATE jobs j SET knocked_at = clock_timestamp() FROM mine WHERE j.id = mine.id
)
SELECT id, route, job_ids, keyed, track_ids,
       (SELECT j.traceparent FROM jobs j WHERE j.id = late.job_ids[1]) AS traceparent
  FROM late ORDER BY id;
