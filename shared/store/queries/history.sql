-- history: read the events of several jobs, each of its tenant and after a number of its own, in order.
SELECT e.job_id, e.sequence, e.kind, e.at, e.attempt, e.error, e.replays
  FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS asked (tenant, job_id, after)
  JOIN jobs j ON j.id = asked.job_id AND j.tenant = asked.tenant
  JOIN job_events e ON e.job_id = j.id AND e.sequence > asked.after
 ORDER BY e.job_id, e.sequence;
