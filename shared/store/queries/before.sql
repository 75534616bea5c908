-- before: list the jobs of a key from its head up to one of its jobs, ended ones too, up to a number.
SELECT b.type, b.state
  FROM jobs AS mine
  JOIN key_heads AS h ON h.tenant = mine.tenant AND h.key = mine.key
  JOIN jobs AS head ON head.id = h.head
 CROSS JOIN LATERAL (
       SELECT type, state FROM jobs AS b
        WHERE b.tenant = mine.tenant AND b.key = mine.key
          AND b.seq >= head.seq AND b.seq < mine.seq
        ORDER BY b.seq
        LIMIT $3::int) AS b
 WHERE mine.tenant = $1::uuid AND mine.id = $2::uuid;
