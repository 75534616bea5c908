-- list_keys: show an administrator the API keys of one tenant, or of all, oldest first.
SELECT k.id, t.name AS tenant, k.name, k.scopes, k.created_at, k.expires_at, k.revoked_at,
       k.last_used_at,
       k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > statement_timestamp())
           AS is_live
  FROM api_keys k
  JOIN tenants t ON t.id = k.tenant
 WHERE $1::uuid IS NULL OR k.tenant = $1
 ORDER BY t.name, k.created_at, k.id;
