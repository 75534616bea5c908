-- tombstone: say whether a job of this tenant once was.
SELECT EXISTS (SELECT FROM tombstones WHERE tenant = $1::uuid AND job_id = $2::uuid);
