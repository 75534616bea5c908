-- orphan_blobs: find blobs that no job uses and that are older than any upload that may still be used.
SELECT b.id FROM blobs b
 WHERE b.created_at < statement_timestamp() - $1::interval
   AND NOT EXISTS (SELECT FROM blob_uses u WHERE u.blob_id = b.id)
 ORDER BY b.created_at
 LIMIT $2;
