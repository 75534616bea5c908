-- go_on: advance the keys of ended jobs as `advance` does, and claim as `claim` does those of the new
-- heads whose lane has a turn left ($2). One statement: a hot key pays for every trip.
WITH ended AS MATERIALIZED (  -- looked up by id, whatever the planner thinks of the keys
    SELECT id, tenant, key, seq, pool FROM jobs
     WHERE id = ANY($1::uuid[]) AND completed_at IS NOT NULL AND NOT (blocks AND state = 'failed')
), heads AS (
    UPDATE key_heads h
       SET head = (SELECT j.id FROM jobs j
                    WHERE j.tenant = h.tenant AND j.key = h.key AND j.completed_at IS NULL
                      AND j.seq > ended.seq
                    ORDER BY j.seq LIMIT 1)
      FROM ended
     WHERE (h.tenant, h.key, h.head) = (ended.tenant, ended.key, ended.id)
    RETURNING ended.id AS ended, ended.pool, h.head
), hit AS (
    SELECT j.id, j.updated_at AS queued_at
      FROM heads
      JOIN jobs j ON j.id = heads.head
     WHERE heads.ended = ANY($2::uuid[]) AND j.state = 'queued' AND j.type = ANY($4::text[])
       AND j.pool = heads.pool  -- one of another pool is for the workers of that
       AND j.crashes < $5::int  -- a suspect runs alone, in a process of its own
       AND j.deadline > clock_timestamp()
       AND (j.start_deadline IS NULL OR j.started_at IS NOT NULL
            OR j.start_deadline > clock_timestamp())
     ORDER BY j.id
       FOR UPDATE OF j SKIP LOCKED
), taken AS (
    UPDATE jobs j
       SET state = 'running', attempt = attempt + 1, sequence = sequence + 1,
           token = token + 1 + floor(random() * 1000000)::bigint,
           lease_until = clock_timestamp() + $3::interval,
           started_at = coalesce(started_at, clock_timestamp()),
           updated_at = clock_timestamp(), progress = 0, message = NULL, due = NULL
      FROM hit
     WHERE j.id = hit.id AND j.state = 'queued'
    RETURNING j.*, hit.queued_at
), told AS (
    INSERT INTO job_events (job_id, sequence, replays, kind, token, attempt)
    SELECT id, sequence, replays, 'running', token, attempt FROM taken
)
SELECT heads.ended, heads.head, t.id, t.tenant, t.type, t.pool, t.priority, t.token, t.attempt,
       t.crashes, t.max_attempts, t.sequence, t.request, t.track_id, t.traceparent,
       t.key AS ordering_key, t.checkpoint, t.deadline, t.created_at,
       least(extract(epoch FROM t.updated_at - t.queued_at) * 1000, 2147483647)::int AS waited_ms
  FROM heads
  LEFT JOIN taken t ON t.id = heads.head;
