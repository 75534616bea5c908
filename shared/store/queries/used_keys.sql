-- used_keys: note that these API keys are in use; a minute more or less does not matter.
UPDATE api_keys SET last_used_at = clock_timestamp()
 WHERE id = ANY($1::uuid[])
   AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '30 seconds');
