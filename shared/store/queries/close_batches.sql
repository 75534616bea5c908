-- close_batches: end those of these batches of which no job lives; each once, whoever asks.
-- Whoever ends a job asks after his commit: so the last one of a batch sees that it is the last.
WITH over AS MATERIALIZED (
    SELECT b.id FROM batches b
     WHERE b.id = ANY($1::uuid[]) AND b.completed_at IS NULL
       AND (SELECT j.id FROM batch_jobs m JOIN jobs j ON j.id = m.job_id
             WHERE m.batch = b.id AND j.completed_at IS NULL
             ORDER BY m.place DESC LIMIT 1) IS NULL  -- the last ones are likely to live longest
     ORDER BY b.id
       FOR UPDATE OF b
), counted AS (
    SELECT over.id, own.* FROM over CROSS JOIN LATERAL (
           SELECT count(*) FILTER (WHERE state = 'completed') AS completed,
                  count(*) FILTER (WHERE state = 'failed') AS failed,
                  count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
                  count(*) FILTER (WHERE state = 'expired') AS expired
             FROM (SELECT coalesce(j.state, m.ending) AS state
                     FROM batch_jobs m LEFT JOIN jobs j ON j.id = m.job_id
                    WHERE m.batch = over.id) AS ended) AS own
)
UPDATE batches b
   SET completed_at = clock_timestamp(), expires_at = clock_timestamp() + $2::interval,
       completed = c.completed, failed = c.failed, cancelled = c.cancelled, expired = c.expired
  FROM counted c
 WHERE b.id = c.id AND b.completed_at IS NULL
RETURNING b.id;
