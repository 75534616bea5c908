-- job: read one job of a tenant; a result that is too large to be shown inline stays behind.
SELECT id, tenant, type, state, priority, sequence, attempt, max_attempts, replays, progress,
       message, key AS ordering_key, tags, track_id, created_at, updated_at, started_at,
       completed_at, due, expires_at,
       CASE WHEN octet_length(result) <= $3::int THEN result END AS result, error_code, error,
       batch
  FROM jobs
 WHERE tenant = $1::uuid AND id = $2::uuid;
