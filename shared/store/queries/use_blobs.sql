-- use_blobs: note which jobs of a batch need which blobs; a blob that is not the tenant's is not answered.
WITH found AS (
    SELECT b.id, asked.job_id
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS asked (blob_id, tenant, job_id)
      JOIN blobs b ON b.id = asked.blob_id AND b.tenant = asked.tenant
     ORDER BY b.id
       FOR KEY SHARE OF b
), noted AS (
    INSERT INTO blob_uses (blob_id, job_id) SELECT id, job_id FROM found ON CONFLICT DO NOTHING
)
SELECT id AS blob_id, job_id FROM found;
