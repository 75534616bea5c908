-- hold_heads: hold the keys of a batch and those of the jobs that it replaces, as one lot, in order.
INSERT INTO key_heads AS h (tenant, key, tail)
SELECT tenant, key, 0
  FROM (SELECT tenant, key FROM unnest($1::uuid[], $2::text[]) AS asked (tenant, key)
         UNION
        SELECT tenant, key FROM jobs WHERE id = ANY($3::uuid[]) AND key IS NOT NULL) AS keys
 ORDER BY tenant, key
    ON CONFLICT (tenant, key) DO UPDATE SET tail = h.tail;
