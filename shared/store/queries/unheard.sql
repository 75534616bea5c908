-- unheard: find jobs whose knock was lost: the queue is empty, or a later knock was answered before.
SELECT id FROM jobs
 WHERE state = 'queued' AND pool = $1::text AND priority = $2::text AND knocked_at IS NOT NULL
   AND crashes < $5::int  -- those are looked for, not knocked for
   AND knocked_at < CASE WHEN $3::boolean THEN statement_timestamp() ELSE (
           SELECT max(r.knocked_at) FROM jobs r
            WHERE r.state IN ('running', 'cancelling') AND r.pool = $1 AND r.priority = $2) END
       - $4::interval
 ORDER BY knocked_at
 LIMIT 200;
