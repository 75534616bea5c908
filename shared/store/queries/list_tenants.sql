-- list_tenants: show an administrator all tenants, and what each may use.
SELECT name, rate, burst, queued, streams, created_at FROM tenants ORDER BY name;
