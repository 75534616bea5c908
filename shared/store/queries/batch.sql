-- batch: read one batch of a tenant, and how its jobs stand; of one that is over, how they stood then.
SELECT b.id, b.tenant, b.track_id, b.refused, b.created_at, b.completed_at, now.pending,
       now.processing, coalesce(b.completed, now.completed) AS completed,
       coalesce(b.failed, now.failed) AS failed, coalesce(b.cancelled, now.cancelled) AS cancelled,
       coalesce(b.expired, now.expired) AS expired, now.progress
  FROM batches b
 CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE state IN ('scheduled', 'queued', 'retrying')) AS pending,
              count(*) FILTER (WHERE state IN ('running', 'cancelling')) AS processing,
              count(*) FILTER (WHERE state = 'completed') AS completed,
              count(*) FILTER (WHERE state = 'failed') AS failed,
              count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
              count(*) FILTER (WHERE state = 'expired') AS expired,
              coalesce(floor(avg(progress)), 0)::int AS progress
         FROM (SELECT coalesce(j.state, m.ending) AS state,
                      CASE WHEN j.completed_at IS NULL THEN coalesce(j.progress, 100)
                           ELSE 100 END AS progress
                 FROM batch_jobs m LEFT JOIN jobs j ON j.id = m.job_id
                WHERE m.batch = b.id AND b.completed_at IS NULL) AS own) AS now
 WHERE b.tenant = $1::uuid AND b.id = $2::uuid;
