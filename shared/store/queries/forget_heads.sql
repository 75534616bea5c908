-- forget_heads: let go of those of these ordering keys that no job bears any more.
DELETE FROM key_heads
 WHERE (tenant, key) IN (
           SELECT h.tenant, h.key
             FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::text[]) AS k (tenant, key)) AS k
             JOIN key_heads h USING (tenant, key)
            WHERE h.head IS NULL AND NOT EXISTS (
                      SELECT FROM jobs j WHERE j.tenant = h.tenant AND j.key = h.key)
            ORDER BY h.tenant, h.key
              FOR UPDATE OF h SKIP LOCKED);
