-- checkpoint: keep what an attempt leaves for the next one; a stale token is not answered.
UPDATE jobs SET checkpoint = $3::bytea
 WHERE id = $1::uuid AND token = $2::bigint AND state IN ('running', 'cancelling')
RETURNING id;
