-- unheard: find jobs whose knock was lost: the queue is empty, or a later knock was answered before.
-- Later of the same tenant: that another one's was answered before only means that it was his turn.
-- What lives, does not run and was knocked for is queued: to say so would tempt to another index.
(SELECT id FROM jobs
  WHERE $3::boolean AND state = 'queued' AND pool = $1::text AND priority = $2::text
    AND knocked_at IS NOT NULL AND crashes < $5::int  -- those are looked for, not knocked for
    AND knocked_at < statement_timestamp() - $4::interval
  ORDER BY knocked_at
  LIMIT 200)
UNION ALL
(SELECT w.id
   FROM (SELECT r.tenant, max(r.knocked_at) AS knocked_at FROM jobs r
          WHERE NOT $3 AND r.state IN ('running', 'cancelling')
            AND r.pool = $1 AND r.priority = $2
          GROUP BY r.tenant) AS answered
  CROSS JOIN LATERAL (
      SELECT j.id FROM jobs j
       WHERE j.tenant = answered.tenant AND j.pool = $1 AND j.priority = $2
         AND coalesce(j.lease_until, j.completed_at) IS NULL
         AND j.crashes < $5::int AND j.knocked_at < answered.knocked_at - $4::interval
       ORDER BY j.knocked_at
       LIMIT 200) AS w
  LIMIT 200);
