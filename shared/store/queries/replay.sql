-- replay: give an ended job a new run; one that holds its key keeps its place, any other goes to the end.
-- What its attempts left (checkpoint, effects) stays: the work goes on. Its deadlines are counted anew.
WITH edges AS (
    SELECT * FROM unnest($3::text[], $4::text[], $5::text[]) AS e (move, start, goal)
), mine AS (
    SELECT id, tenant, key, state FROM jobs
     WHERE tenant = $1::uuid AND id = $2::uuid
       AND ($6::timestamptz IS NULL OR completed_at <= $6)  -- what ended later is not meant
       FOR UPDATE
), hit AS (
    SELECT mine.id, mine.tenant, mine.key, e.goal, h.head = mine.id AS holds
      FROM mine
      JOIN edges e ON e.start = mine.state
      LEFT JOIN key_heads h ON h.tenant = mine.tenant AND h.key = mine.key
), placed AS (
    UPDATE key_heads h
       SET tail = h.tail + 1, head = coalesce(h.head, hit.id)
      FROM hit
     WHERE h.tenant = hit.tenant AND h.key = hit.key AND hit.holds IS NOT TRUE
    RETURNING h.tail
), moved AS (
    UPDATE jobs j
       SET state = hit.goal, replays = replays + 1, token = token + 1, sequence = sequence + 1,
           attempt = 0, crashes = 0, seq = coalesce((SELECT tail FROM placed), j.seq),
           deadline = clock_timestamp() + (j.deadline - coalesce(  -- as long as the run before had
               (SELECT min(e.at) FROM job_events e
                 WHERE e.job_id = j.id AND e.replays = j.replays), j.created_at)),
           start_deadline = NULL, started_at = NULL, completed_at = NULL, expires_at = NULL,
           due = NULL, knocked_at = NULL, updated_at = clock_timestamp(), progress = 0,
           message = NULL, error_code = NULL, error = NULL
      FROM hit
     WHERE j.id = hit.id
    RETURNING j.id, j.state, j.sequence, j.replays, j.token, j.attempt
), told AS (
    INSERT INTO job_events (job_id, sequence, replays, kind, token, attempt)
    SELECT id, sequence, replays, state, token, attempt FROM moved
)
SELECT id, state, sequence FROM moved;
