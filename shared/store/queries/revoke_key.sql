-- revoke_key: end an API key for good, at once; the moment of the first time counts.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp())
 WHERE id = $1::uuid
RETURNING id;
