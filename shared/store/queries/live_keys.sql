-- live_keys: read those of these API keys that are neither revoked nor expired.
SELECT id, digest, tenant, name, scopes FROM api_keys
 WHERE digest = ANY($1::bytea[]) AND revoked_at IS NULL
   AND (expires_at IS NULL OR expires_at > statement_timestamp());
