-- here: say that this worker lives and what it can run; forget those that have been silent for an hour.
WITH gone AS (
    DELETE FROM workers WHERE seen_at < clock_timestamp() - interval '1 hour' AND id <> $1::uuid
)
INSERT INTO workers (id, pools, types, lacking)
VALUES ($1::uuid, $2::text[], $3::text[], $4::text[])
    ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp();
