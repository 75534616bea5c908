-- submit: insert a batch of jobs, each with its first event, and the knocks for those that may run.
WITH asked AS (
    SELECT *, coalesce(run_at, statement_timestamp() + delay) AS due_at
      FROM unnest(
               $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[],
               $6::text[], $7::bigint[], $8::boolean[], $9::boolean[],
               $10::interval[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
               $14::interval[], $15::int[], $16::interval[], $17::text[], $18::text[],
               $19::text[], $20::text[], $21::text[], $22::bytea[],
               $23::text[], $24::uuid[])
           WITH ORDINALITY AS a (
               id, tenant, type, pool, priority,
               key, seq, blocks, is_head,
               delay, run_at, start_deadline, deadline,
               max_age, max_attempts, result_ttl, track_id, traceparent,
               tags, callback_url, callback_events, request,
               unique_key, batch, n)
), judged AS (
    SELECT *, due_at IS NOT NULL AND due_at > statement_timestamp() AS waits FROM asked
), new AS (
    INSERT INTO jobs (
        id, tenant, type, pool, priority, key, seq, blocks, state, due, knocked_at,
        start_deadline, deadline, max_attempts, result_ttl, track_id, traceparent,
        tags, callback_url, callback_events, request, unique_key, batch, created_at, updated_at)
    SELECT id, tenant, type, pool, priority, key, seq, blocks,
           CASE WHEN waits THEN 'scheduled' ELSE 'queued' END,
           CASE WHEN waits THEN due_at END,
           CASE WHEN is_head AND NOT waits THEN statement_timestamp() END,
           start_deadline,
           coalesce(deadline, coalesce(due_at, statement_timestamp()) + max_age),
           max_attempts, result_ttl, track_id, traceparent,
           string_to_array(tags, ','), callback_url, string_to_array(callback_events, ','),
           request, unique_key, batch, statement_timestamp(), statement_timestamp()
      FROM judged
     ORDER BY n
    RETURNING id, pool, priority, key, knocked_at, track_id
), told AS (
    INSERT INTO job_events (job_id, sequence, replays, kind, token, attempt)
    SELECT id, 1, 0, 'accepted', 0, 0 FROM new
), parts AS (
    SELECT id, key, track_id, 'jobs.' || pool || '.' || priority AS route,
           (row_number() OVER (PARTITION BY pool, priority) - 1) / 32 AS part
      FROM new
     WHERE knocked_at IS NOT NULL
), posted AS (
    INSERT INTO outbox (route, job_ids, keyed, track_ids, due)
    SELECT route, array_agg(id), bool_or(key IS NOT NULL), string_agg(track_id, ','),
           statement_timestamp() + $25::interval
      FROM parts
     GROUP BY route, part
    RETURNING id, route, job_ids, keyed, track_ids
)
SELECT statement_timestamp() AS at, posted.*
  FROM (SELECT) AS always LEFT JOIN posted ON true;
