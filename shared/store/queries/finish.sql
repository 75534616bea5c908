-- finish: write a batch of verdicts, each with its event; a stale token changes nothing.
-- With $14 it holds the keys first, as `lock` does: it looks at no row but those it was given, so
-- that may be the same statement.
WITH verdicts AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::interval[], $5::int[],
                         $6::bytea[], $7::text[], $8::text[])
                  AS v (id, token, move, delay, given_back, result, error_code, error)
), edges AS (
    SELECT * FROM unnest($9::text[], $10::text[], $11::text[]) AS e (move, start, goal)
), keys AS MATERIALIZED (  -- as in `lock`
    SELECT DISTINCT tenant, key FROM jobs
     WHERE $14::boolean AND id = ANY($1::uuid[])
     ORDER BY tenant, key
), held AS (
    SELECT FROM keys CROSS JOIN LATERAL (
        SELECT FROM key_heads h WHERE h.tenant = keys.tenant AND h.key = keys.key FOR UPDATE) AS h
), mine AS (
    SELECT id, state, token FROM jobs
     WHERE id = ANY($1::uuid[]) AND (SELECT count(*) FROM held) >= 0  -- the keys before the rows
     ORDER BY id
       FOR UPDATE
), done AS (
    UPDATE jobs j
       SET state = e.goal, sequence = sequence + 1, lease_until = NULL, knocked_at = NULL,
           updated_at = clock_timestamp(), attempt = attempt - v.given_back,
           due = CASE WHEN e.goal IN ('scheduled', 'retrying')
                      THEN clock_timestamp() + coalesce(v.delay, interval '0') END,
           message = CASE WHEN e.goal = 'completed' THEN NULL ELSE message END,
           result = v.result, error_code = v.error_code, error = v.error,
           checkpoint = CASE WHEN e.goal = 'completed' THEN NULL ELSE checkpoint END,
           completed_at = CASE WHEN e.goal = ANY($12::text[]) THEN clock_timestamp() END,
           expires_at = CASE WHEN e.goal = ANY($12::text[]) THEN clock_timestamp()
               + CASE e.goal WHEN 'failed' THEN greatest(j.result_ttl, $13::interval)
                             ELSE j.result_ttl END END
      FROM mine
      JOIN verdicts v USING (id, token)
      JOIN edges e ON e.move = v.move AND e.start = mine.state
     WHERE j.id = mine.id  -- and no more: `j` is first seen as it was before `mine` had to wait
    RETURNING j.id, j.tenant, j.key, j.state, j.token, j.attempt, j.sequence, j.replays, j.error,
              j.batch
), told AS (
    INSERT INTO job_events (job_id, sequence, replays, kind, token, attempt, error)
    SELECT id, sequence, replays, state, token, attempt, error FROM done
)
SELECT id, tenant, key, state, sequence, batch FROM done;
