-- expire: end jobs whose deadline has passed before they came to an end, each with its event.
WITH hit AS (
    SELECT id FROM jobs
     WHERE id = ANY($1::uuid[])
       AND state IN ('scheduled', 'queued', 'running', 'retrying', 'cancelling')
       AND (deadline < clock_timestamp()
            OR start_deadline < clock_timestamp() AND started_at IS NULL)
     ORDER BY id
       FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE jobs j
       SET state = 'expired', token = token + 1, sequence = sequence + 1, lease_until = NULL,
           due = NULL, updated_at = clock_timestamp(), completed_at = clock_timestamp(),
           error_code = 'expired', error = 'Its deadline passed before it came to an end',
           expires_at = clock_timestamp() + greatest(j.result_ttl, $2::interval)
      FROM hit
     WHERE j.id = hit.id
    RETURNING j.id, j.state, j.sequence, j.replays, j.token, j.attempt, j.error, j.track_id,
              j.batch
), told AS (
    INSERT INTO job_events (job_id, sequence, replays, kind, token, attempt, error)
    SELECT id, sequence, replays, 'expired', token, attempt, error FROM moved
)
SELECT id, state, sequence, track_id, batch FROM moved;
