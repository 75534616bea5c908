-- claim: hand queued jobs to a worker that knows their types; what is not answered was not its to take.
-- The token grows by chance, so that a claim which a crash takes back is never repeated.
WITH hit AS (
    SELECT j.id, j.updated_at AS queued_at
      FROM jobs j
     WHERE j.id = ANY($1::uuid[]) AND j.state = 'queued' AND j.type = ANY($3::text[])
       AND (j.crashes >= $5::int) = $6::boolean  -- a suspect runs alone, in a process of its own
       AND j.deadline > clock_timestamp()
       AND (j.start_deadline IS NULL OR j.started_at IS NOT NULL
            OR j.start_deadline > clock_timestamp())
       AND (j.key IS NULL OR $4::boolean AND j.id = (
               SELECT h.head FROM key_heads h WHERE h.tenant = j.tenant AND h.key = j.key))
     ORDER BY j.id
       FOR UPDATE OF j SKIP LOCKED
), taken AS (
    UPDATE jobs j
       SET state = 'running', attempt = attempt + 1, sequence = sequence + 1,
           token = token + 1 + floor(random() * 1000000)::bigint,
           lease_until = clock_timestamp() + $2::interval,
           started_at = coalesce(started_at, clock_timestamp()),
           updated_at = clock_timestamp(), progress = 0, message = NULL, due = NULL
      FROM hit
     WHERE j.id = hit.id AND j.state = 'queued'
    RETURNING j.*, hit.queued_at
), told AS (
    INSERT INTO job_events (job_id, sequence, replays, kind, token, attempt)
    SELECT id, sequence, replays, 'running', token, attempt FROM taken
)
SELECT id, tenant, type, pool, priority, token, attempt, crashes, max_attempts, sequence, request,
       track_id, traceparent, key AS ordering_key, checkpoint, deadline, created_at,
       least(extract(epoch FROM updated_at - queued_at) * 1000, 2147483647)::int AS waited_ms
  FROM taken
 ORDER BY seq NULLS FIRST, id;
