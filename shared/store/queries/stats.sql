-- stats: count all live jobs by tenant, type, pool and state, and those of the longest keys; one look at each.
WITH counted AS MATERIALIZED (
    SELECT tenant, type, pool, state, key, grouping(key) AS is_sum, count(*) AS jobs,
           count(*) FILTER (WHERE state IN ('scheduled', 'queued', 'retrying')) AS waiting,
           min(created_at) AS oldest
      FROM jobs
     WHERE completed_at IS NULL
     GROUP BY GROUPING SETS ((tenant, type, pool, state), (tenant, key))
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY tenant, is_sum ORDER BY waiting DESC, oldest) AS place
      FROM counted
     WHERE is_sum = 1 OR key IS NOT NULL
)
SELECT tenant, type, pool, state, key, jobs, waiting, oldest
  FROM ranked
 WHERE is_sum = 1 OR place <= $1::int;
