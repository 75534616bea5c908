-- add_tenant: make a tenant known by its name; one that is known already stays as it is.
INSERT INTO tenants (id, name) VALUES ($1::uuid, $2::text) ON CONFLICT DO NOTHING;
