-- job_batch: read several jobs at once, as `job` does.
SELECT id, tenant, type, state, priority, sequence, attempt, max_attempts, replays, progress,
       message, key AS ordering_key, tags, track_id, created_at, updated_at, started_at,
       completed_at, due, expires_at,
       CASE WHEN octet_length(result) <= $3::int THEN result END AS result, error_code, error,
       batch
  FROM jobs
 WHERE (tenant, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]));
