-- lapsed: find running jobs whose worker let the lease run out.
SELECT id FROM jobs
 WHERE state IN ('running', 'cancelling') AND lease_until < statement_timestamp()
 LIMIT $1;
