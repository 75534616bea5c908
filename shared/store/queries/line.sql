-- line: list what waits for a worker of one pool: of each priority the first jobs, up to a number.
SELECT w.id, w.tenant, w.type, p.priority
  FROM unnest($2::text[]) AS p (priority)
 CROSS JOIN LATERAL (
       SELECT id, tenant, type, knocked_at FROM jobs
        WHERE state = 'queued' AND pool = $1::text AND priority = p.priority
          AND knocked_at IS NOT NULL
        ORDER BY knocked_at
        LIMIT $3::int) AS w;
