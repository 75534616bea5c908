-- outlived: find ended jobs whose result has been kept long enough; what holds its key is needed still.
SELECT j.id FROM jobs j
 WHERE j.expires_at < statement_timestamp()
   AND NOT (j.blocks AND j.state = 'failed' AND EXISTS (
           SELECT FROM key_heads h WHERE h.tenant = j.tenant AND h.key = j.key AND h.head = j.id))
 ORDER BY j.expires_at
 LIMIT $1;
