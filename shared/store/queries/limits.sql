-- limits: read what some tenants may use; one without limits is not answered.
SELECT id, rate, burst, queued, streams FROM tenants
 WHERE id = ANY($1::uuid[])
   AND (rate IS NOT NULL OR queued IS NOT NULL OR streams IS NOT NULL);
