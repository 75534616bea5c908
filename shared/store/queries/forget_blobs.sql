-- forget_blobs: drop the rows of blobs that nobody uses; what is answered may be deleted.
DELETE FROM blobs b
 WHERE b.id = ANY($1::uuid[]) AND NOT EXISTS (SELECT FROM blob_uses u WHERE u.blob_id = b.id)
RETURNING b.id;
