-- outlive: let ended jobs of a tenant have been kept long enough; what holds its key is needed still.
WITH mine AS (
    SELECT id FROM jobs
     WHERE tenant = $1::uuid AND id = ANY($2::uuid[]) AND completed_at <= $3::timestamptz
     ORDER BY id
       FOR UPDATE
)
UPDATE jobs j SET expires_at = clock_timestamp() - interval '1 millisecond'
  FROM mine
 WHERE j.id = mine.id
   AND NOT (j.blocks AND j.state = 'failed' AND EXISTS (
           SELECT FROM key_heads h WHERE h.tenant = j.tenant AND h.key = j.key AND h.head = j.id))
RETURNING j.id;
