-- before: list the live jobs of a key that come before one of its jobs, up to a number.
SELECT b.type, b.state
  FROM jobs AS mine
  JOIN jobs AS b ON b.tenant = mine.tenant AND b.key = mine.key AND b.completed_at IS NULL
                AND b.seq < mine.seq
 WHERE mine.tenant = $1::uuid AND mine.id = $2::uuid
 ORDER BY b.seq DESC
 LIMIT $3::int;
