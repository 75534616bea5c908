-- census: count all live jobs by pool, type and what each waits for; how late is the oldest? One look at each.
SELECT pool, type, waits, count(*) AS jobs,
       greatest(0, extract(epoch FROM statement_timestamp() - min(since)))::float8 AS late
  FROM (SELECT pool, type,
               CASE WHEN state <> 'queued' THEN state
                    WHEN crashes > 0 AND crashes >= $1::int THEN 'suspect'
                    WHEN knocked_at IS NULL THEN 'behind'
                    ELSE 'ready' END AS waits,
               CASE WHEN state IN ('scheduled', 'retrying') THEN due
                    WHEN state IN ('running', 'cancelling') THEN lease_until
                    WHEN crashes > 0 AND crashes >= $1::int THEN updated_at
                    ELSE coalesce(knocked_at, created_at) END AS since
          FROM jobs
         WHERE completed_at IS NULL) AS live
 GROUP BY pool, type, waits;
