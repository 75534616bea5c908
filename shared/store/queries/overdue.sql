-- overdue: find live jobs whose start deadline or deadline has passed.
(SELECT id FROM jobs
  WHERE completed_at IS NULL AND deadline < statement_timestamp()
  ORDER BY deadline LIMIT $1)
UNION
(SELECT id FROM jobs
  WHERE start_deadline IS NOT NULL AND started_at IS NULL AND completed_at IS NULL
    AND start_deadline < statement_timestamp()
  ORDER BY start_deadline LIMIT $1);
