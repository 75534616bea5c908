-- lines: read the oldest waiting jobs of some tenants on some routes, each from a moment on.
-- That moment is what keeps it cheap: what was run before it is still in the index for a while.
-- What lives, does not run and was knocked for is queued: to say so would tempt to another index.
SELECT asked.tenant, asked.pool, asked.priority, w.id, w.keyed, w.knocked_at,
       statement_timestamp() AS now
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
       AS asked (tenant, pool, priority, since)
  LEFT JOIN LATERAL (
      SELECT j.id, j.key IS NOT NULL AS keyed, j.knocked_at
        FROM jobs j
       WHERE j.tenant = asked.tenant AND j.pool = asked.pool AND j.priority = asked.priority
         AND coalesce(j.lease_until, j.completed_at) IS NULL
         AND j.knocked_at > asked.since
         AND j.type = ANY($5::text[]) AND j.crashes < $6::int
       ORDER BY j.knocked_at
       LIMIT $7::int) AS w ON true;
