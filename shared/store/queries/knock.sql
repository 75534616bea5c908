-- knock: put those of these jobs that may run into the outbox; it judges for itself which ones.
WITH ready AS (
    SELECT j.id
      FROM jobs j
     WHERE j.id = ANY($1::uuid[]) AND j.state = 'queued'
       AND (j.key IS NULL OR j.id = (
               SELECT h.head FROM key_heads h WHERE h.tenant = j.tenant AND h.key = j.key))
     ORDER BY j.id
       FOR UPDATE OF j
), marked AS (
    UPDATE jobs j SET knocked_at = clock_timestamp() FROM ready WHERE j.id = ready.id
    RETURNING j.id, j.key, j.pool, j.priority, j.track_id
), parts AS (
    SELECT id, key, track_id, 'jobs.' || pool || '.' || priority AS route,
           (row_number() OVER (PARTITION BY pool, priority) - 1) / 32 AS part
      FROM marked
)
INSERT INTO outbox (route, job_ids, keyed, track_ids, due)
SELECT route, array_agg(id), bool_or(key IS NOT NULL), string_agg(track_id, ','),
       clock_timestamp() + $2::interval
  FROM parts
 GROUP BY route, part
RETURNING id, route, job_ids, keyed, track_ids;
