-- add_key: note a new API key by its digest; it ends at a moment, after a time, or never.
INSERT INTO api_keys (id, tenant, name, digest, scopes, expires_at)
VALUES ($1::uuid, $2::uuid, $3::text, $4::bytea, $5::text[],
        coalesce($6::timestamptz, clock_timestamp() + $7::interval));
