-- come_due: make jobs whose time has come queued, each with its event.
WITH hit AS (
    SELECT id FROM jobs
     WHERE id = ANY($1::uuid[]) AND state IN ('scheduled', 'retrying') AND due <= clock_timestamp()
     ORDER BY id
       FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE jobs j
       SET state = 'queued', due = NULL, sequence = sequence + 1, updated_at = clock_timestamp()
      FROM hit
     WHERE j.id = hit.id
    RETURNING j.id, j.state, j.sequence, j.replays, j.token, j.attempt, j.track_id,
              j.batch
), told AS (
    INSERT INTO job_events (job_id, sequence, replays, kind, token, attempt)
    SELECT id, sequence, replays, 'queued', token, attempt FROM moved
)
SELECT id, state, sequence, track_id, batch FROM moved;
