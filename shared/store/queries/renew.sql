-- renew: prolong the leases a worker holds; a pair that is not answered has been lost.
WITH mine AS (
    SELECT id, token FROM jobs
     WHERE id = ANY($1::uuid[]) AND state IN ('running', 'cancelling')
     ORDER BY id  -- as the verdicts do, which come from the same worker at the same time
       FOR UPDATE
)
UPDATE jobs j
   SET lease_until = clock_timestamp() + $3::interval
  FROM mine
  JOIN unnest($1::uuid[], $2::bigint[]) AS held (id, token) USING (id, token)
 WHERE j.id = mine.id
RETURNING j.id, j.state;
