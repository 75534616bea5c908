-- open_batches: list some batches that are not over, from one on.
SELECT id FROM batches WHERE completed_at IS NULL AND id > $1::uuid ORDER BY id LIMIT $2;
