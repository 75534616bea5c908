-- progress: note how far running jobs are; never backwards, never for a stale token.
WITH mine AS (
    SELECT id, token FROM jobs
     WHERE id = ANY($1::uuid[]) AND state = 'running'
     ORDER BY id  -- as the verdicts do, which come from the same worker at the same time
       FOR UPDATE
)
UPDATE jobs j
   SET progress = greatest(j.progress, told.percent), message = told.message,
       updated_at = clock_timestamp()
  FROM mine
  JOIN unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::text[])
       AS told (id, token, percent, message) USING (id, token)
 WHERE j.id = mine.id
RETURNING j.id, j.sequence;
