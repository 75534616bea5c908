-- rescue: take jobs from workers that lost their leases; the token changes at once, so they are fenced.
WITH hit AS (
    SELECT id, state FROM jobs
     WHERE id = ANY($1::uuid[]) AND state IN ('running', 'cancelling')
       AND lease_until < clock_timestamp()
     ORDER BY id
       FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE jobs j
       SET state = CASE WHEN hit.state = 'cancelling' THEN 'cancelled'
                        WHEN j.crashes + 1 >= $2::int THEN 'failed' ELSE 'queued' END,
           token = token + 1, crashes = crashes + 1, sequence = sequence + 1, lease_until = NULL,
           knocked_at = NULL, updated_at = clock_timestamp(),
           error_code = CASE WHEN hit.state = 'running' AND j.crashes + 1 >= $2::int
                             THEN 'crash_loop' END,
           error = CASE WHEN hit.state = 'running' AND j.crashes + 1 >= $2::int
                        THEN 'The job ended its worker too often' END,
           completed_at = CASE WHEN hit.state = 'cancelling' OR j.crashes + 1 >= $2::int
                               THEN clock_timestamp() END,
           expires_at = CASE WHEN hit.state = 'cancelling' OR j.crashes + 1 >= $2::int
                             THEN clock_timestamp() + greatest(j.result_ttl, $3::interval) END
      FROM hit
     WHERE j.id = hit.id
    RETURNING j.id, j.state, j.sequence, j.replays, j.token, j.attempt, j.error, j.track_id,
              j.batch
), told AS (
    INSERT INTO job_events (job_id, sequence, replays, kind, token, attempt, error)
    SELECT id, sequence, replays, state, token, attempt, error FROM moved
)
SELECT id, state, sequence, track_id, batch FROM moved;
