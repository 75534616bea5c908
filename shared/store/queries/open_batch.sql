-- open_batch: write down a batch and which jobs are its own; the last statement of its submit.
WITH made AS (
    INSERT INTO batches (id, tenant, track_id, refused, answer)
    VALUES ($1::uuid, $2::uuid, $3::text, $4::int, $5::bytea)
    RETURNING created_at
), own AS (
    INSERT INTO batch_jobs (batch, place, job_id)
    SELECT $1, place, job_id FROM unnest($6::int[], $7::uuid[]) AS asked (place, job_id)
)
SELECT created_at FROM made;
