-- written: say which verdicts were written by a commit whose answer was lost, and what it claimed next.
-- The head of a key is theirs to run if it was claimed by the very transaction that wrote the verdict,
-- and its token is still the one of that claim: nobody else can have been told of it.
WITH verdicts AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS v (id, token, move)
), edges AS (
    SELECT * FROM unnest($4::text[], $5::text[], $6::text[]) AS e (move, start, goal)
), written AS MATERIALIZED (  -- the first: what came after it, with the same token, is not ours
    SELECT DISTINCT ON (v.id) v.id, e.kind AS state, e.sequence, e.xmin AS transaction
      FROM verdicts v
      JOIN edges USING (move)
      JOIN job_events e ON e.job_id = v.id AND e.token = v.token AND e.kind = edges.goal
     ORDER BY v.id, e.sequence
), claimed AS (
    SELECT w.id AS ended, head.*
      FROM written w
      JOIN jobs j ON j.id = w.id
      JOIN key_heads h ON h.tenant = j.tenant AND h.key = j.key
      JOIN jobs head ON head.id = h.head AND head.state IN ('running', 'cancelling')
      JOIN job_events e ON e.job_id = head.id AND e.token = head.token AND e.kind = 'running'
     WHERE e.xmin = w.transaction
)
SELECT w.id AS ended, w.state AS became, w.sequence AS up_to, c.id, c.tenant, c.type, c.pool,
       c.priority, c.token, c.attempt, c.crashes, c.max_attempts, c.sequence, c.request, c.track_id,
       c.traceparent, c.key AS ordering_key, c.checkpoint, c.deadline, c.created_at,
       0 AS waited_ms  -- nobody knows any more how long it was queued
  FROM written w
  LEFT JOIN claimed c ON c.ended = w.id;
