-- release: let the key go on that a failed job of this tenant holds; no row: it holds none.
WITH held AS (
    SELECT id, tenant, key, seq FROM jobs
     WHERE tenant = $1::uuid AND id = $2::uuid AND blocks AND state = 'failed'
)
UPDATE key_heads h
   SET head = (SELECT j.id FROM jobs j
                WHERE j.tenant = h.tenant AND j.key = h.key AND j.completed_at IS NULL
                  AND j.seq > held.seq
                ORDER BY j.seq LIMIT 1)
  FROM held
 WHERE (h.tenant, h.key, h.head) = (held.tenant, held.key, held.id)
RETURNING h.head;
