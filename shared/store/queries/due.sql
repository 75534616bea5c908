-- due: find jobs whose time has come.
SELECT id FROM jobs
 WHERE state IN ('scheduled', 'retrying') AND due <= statement_timestamp()
 ORDER BY due
 LIMIT $1;
