-- keep_blob: note a stored file; with a job, as one that this job uses.
WITH kept AS (
    INSERT INTO blobs (id, tenant, name, content_type, size_bytes, sha256)
    VALUES ($1::uuid, $2::uuid, $3::text, $4::text, $5::bigint, $6::text)
        ON CONFLICT (id) DO NOTHING  -- it is there already: the answer to the first try was lost
    RETURNING id
)
INSERT INTO blob_uses (blob_id, job_id) SELECT id, $7::uuid FROM kept WHERE $7 IS NOT NULL;
