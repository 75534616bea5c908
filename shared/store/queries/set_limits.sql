-- set_limits: say what a tenant may use from now on; NULL is no limit.
UPDATE tenants SET rate = $2::float8, burst = $3::int, queued = $4::int, streams = $5::int
 WHERE id = $1::uuid
RETURNING id;
