-- note_streams: say how many streams of some tenants this replica has open, and hear of all others.
WITH mine AS (
    INSERT INTO open_streams AS o (tenant, replica, streams, at)
    SELECT tenant, $3::uuid, streams, clock_timestamp()
      FROM unnest($1::uuid[], $2::int[]) AS asked (tenant, streams)
     ORDER BY tenant
        ON CONFLICT (tenant, replica) DO UPDATE SET streams = excluded.streams, at = excluded.at
)
SELECT asked.tenant, coalesce(sum(o.streams), 0)::int AS elsewhere
  FROM unnest($1::uuid[]) AS asked (tenant)
  LEFT JOIN open_streams o ON o.tenant = asked.tenant AND o.replica <> $3::uuid
       AND o.at > clock_timestamp() - interval '10 seconds'
 GROUP BY asked.tenant;
