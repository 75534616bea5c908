-- take_turns: grant tenants as many submits of those they want as their rates allow now (GCRA).
-- One line a tenant, in their order. `gap` is the seconds between two submits; a mark runs ahead of
-- the clock by `gap` for each that was granted, and by `burst` of them at the most.
WITH asked AS (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::float8[])
                  AS a (tenant, want, burst, gap)
), held AS MATERIALIZED (
    SELECT asked.*, greatest(0, extract(epoch FROM m.paid_until - clock_timestamp())) AS ahead
      FROM asked CROSS JOIN LATERAL (
          SELECT r.paid_until FROM rate_marks r WHERE r.tenant = asked.tenant FOR UPDATE) AS m
), judged AS (
    SELECT *, greatest(0, least(want, floor(burst - ahead / gap + 1e-6)))::int AS n FROM held
), taken AS (
    UPDATE rate_marks r
       SET granted = j.n,
           paid_until = clock_timestamp() + make_interval(secs => (j.ahead + j.n * j.gap)::float8)
      FROM judged j
     WHERE r.tenant = j.tenant
    RETURNING r.tenant
)
SELECT tenant, n AS granted, (ahead + n * gap)::float8 AS ahead FROM judged JOIN taken USING (tenant);
