-- advance: give each key whose head is one of these ended jobs its next live job as the head.
WITH ended AS MATERIALIZED (  -- looked up by id, whatever the planner thinks of the keys
    SELECT id, tenant, key, seq FROM jobs
     WHERE id = ANY($1::uuid[]) AND completed_at IS NOT NULL AND NOT (blocks AND state = 'failed')
)
UPDATE key_heads h
   SET head = (SELECT j.id FROM jobs j
                WHERE j.tenant = h.tenant AND j.key = h.key AND j.completed_at IS NULL
                  AND j.seq > ended.seq
                ORDER BY j.seq LIMIT 1)
  FROM ended
 WHERE (h.tenant, h.key, h.head) = (ended.tenant, ended.key, ended.id)
RETURNING ended.id AS ended, h.head;
