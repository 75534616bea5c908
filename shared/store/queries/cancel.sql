-- cancel: end a job that does not run, ask one that runs to stop; no row: it is neither.
WITH edges AS (
    SELECT * FROM unnest($3::text[], $4::text[], $5::text[]) AS e (move, start, goal)
), mine AS (
    SELECT id, state FROM jobs WHERE tenant = $1::uuid AND id = $2::uuid FOR UPDATE
), moved AS (
    UPDATE jobs j
       SET state = e.goal, sequence = sequence + 1, updated_at = clock_timestamp(), due = NULL,
           completed_at = CASE WHEN e.goal = 'cancelled' THEN clock_timestamp() END,
           expires_at = CASE WHEN e.goal = 'cancelled' THEN clock_timestamp() + j.result_ttl END
      FROM mine
      JOIN edges e ON e.start = mine.state
     WHERE j.id = mine.id
    RETURNING j.id, j.state, j.sequence, j.replays, j.token, j.attempt, j.batch
), told AS (
    INSERT INTO job_events (job_id, sequence, replays, kind, token, attempt)
    SELECT id, sequence, replays, state, token, attempt FROM moved
)
SELECT id, state, sequence, batch FROM moved;
