-- places: give the jobs of a batch their places at the end of their keys, and a head to keys without one.
INSERT INTO key_heads AS h (tenant, key, tail, head)
SELECT tenant, key, count(*), (array_agg(id ORDER BY n))[1]
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) WITH ORDINALITY AS b (id, tenant, key, n)
 GROUP BY tenant, key
 ORDER BY tenant, key
    ON CONFLICT (tenant, key)
    DO UPDATE SET tail = h.tail + excluded.tail, head = coalesce(h.head, excluded.head)
RETURNING tenant, key, tail, head;
