-- count_waiting: count the jobs of some tenants that live and do not run, each up to a number.
SELECT asked.tenant, (
           SELECT count(*) FROM (
               SELECT FROM jobs j
                WHERE j.tenant = asked.tenant AND coalesce(j.lease_until, j.completed_at) IS NULL
                LIMIT asked.most) AS these)::int AS waiting
  FROM unnest($1::uuid[], $2::int[]) AS asked (tenant, most);
