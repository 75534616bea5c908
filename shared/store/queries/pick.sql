-- pick: name a page of a tenant's jobs that fit, newest first, from before a cursor; planned for its values.
SELECT id, type, state FROM jobs
 WHERE tenant = $1::uuid
   AND id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   AND ($3::text[] IS NULL OR state = ANY($3))
   AND (NOT $4::boolean OR completed_at IS NULL)  -- only live states: there are indexes of those
   AND ($5::text IS NULL OR type = $5)
   AND ($6::text IS NULL OR key = $6)
   AND ($7::text IS NULL OR $7 = ANY(tags))
   AND ($8::timestamptz IS NULL OR created_at > $8)
   AND ($9::timestamptz IS NULL OR created_at < $9)
   AND ($10::uuid IS NULL OR id = ANY(ARRAY(SELECT job_id FROM batch_jobs WHERE batch = $10)))
   AND coalesce(completed_at, created_at) <= $11::timestamptz  -- what came later is not meant
 ORDER BY id DESC
 LIMIT $12;
