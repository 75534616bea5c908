-- history: read the events of several jobs, each after a number of its own, in order.
SELECT e.job_id, e.sequence, e.kind, e.at, e.attempt, e.error, e.replays
  FROM unnest($1::uuid[], $2::int[]) AS asked (job_id, after)
  JOIN job_events e ON e.job_id = asked.job_id AND e.sequence > asked.after
 ORDER BY e.job_id, e.sequence;
