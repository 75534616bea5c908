-- suspects: find queued jobs that ended their workers so often that they are to run alone now.
SELECT j.id FROM jobs j
 WHERE j.state = 'queued' AND j.crashes > 0 AND j.crashes >= $1::int
   AND j.pool = ANY($2::text[]) AND j.type = ANY($3::text[])
   AND j.deadline > statement_timestamp()
   AND (j.key IS NULL OR j.id = (
           SELECT h.head FROM key_heads h WHERE h.tenant = j.tenant AND h.key = j.key))
 ORDER BY j.updated_at
 LIMIT 1;
