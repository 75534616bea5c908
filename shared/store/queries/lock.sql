-- lock: hold the keys of these jobs; the first statement of every verb that moves a keyed job.
WITH keys AS MATERIALIZED (  -- looked up by id, whatever the planner thinks of the keys
    SELECT DISTINCT tenant, key FROM jobs WHERE id = ANY($1::uuid[]) ORDER BY tenant, key
)
SELECT FROM keys CROSS JOIN LATERAL (  -- one by one, in their order
    SELECT FROM key_heads h WHERE h.tenant = keys.tenant AND h.key = keys.key FOR UPDATE) AS held;
