-- effect: note that this attempt does an effect now; never twice, never for a stale token or a cancel.
WITH gate AS (
    SELECT id FROM jobs WHERE id = $1::uuid AND token = $2::bigint AND state = 'running' FOR SHARE
), noted AS (
    INSERT INTO effects (job_id, name, token) SELECT id, $3::text, $2 FROM gate
        ON CONFLICT DO NOTHING
    RETURNING job_id
)
SELECT EXISTS (SELECT FROM gate) AS may,
       EXISTS (SELECT FROM noted)
           OR $4::boolean AND EXISTS (
               SELECT FROM effects WHERE job_id = $1 AND name = $3 AND token = $2) AS first;
