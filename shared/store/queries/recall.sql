-- recall: say whose the idempotency keys of a batch are.
SELECT k.tenant, k.caller, k.key, k.fingerprint, k.job_id, coalesce(j.created_at, k.at) AS at
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS asked (tenant, caller, key)
  JOIN idempotency_keys k USING (tenant, caller, key)
  LEFT JOIN jobs j ON j.id = k.job_id AND j.tenant = k.tenant;
