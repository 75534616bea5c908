-- hold_blobs: keep submits from these blobs until the end of the transaction; one in use is skipped.
SELECT id FROM blobs WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED;
