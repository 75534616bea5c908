-- standing: say how long the longest line of a key is, how many keys a failure holds, and what the outbox holds.
SELECT coalesce((SELECT max(jobs) FROM (
           SELECT count(*) AS jobs FROM jobs
            WHERE key IS NOT NULL AND completed_at IS NULL GROUP BY tenant, key) AS line), 0) AS longest,
       (SELECT count(*) FROM jobs j
          JOIN key_heads h ON h.tenant = j.tenant AND h.key = j.key AND h.head = j.id
         WHERE j.state = 'failed' AND j.blocks) AS held,
       outbox.rows, outbox.late
  FROM (SELECT count(*) AS rows,
               coalesce(extract(epoch FROM statement_timestamp() - min(at)), 0)::float8 AS late
          FROM outbox) AS outbox;
