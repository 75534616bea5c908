-- states: say which of some ids are jobs of a tenant, and how they stand.
SELECT id, type, state FROM jobs WHERE (tenant, id) IN (SELECT $1::uuid, unnest($2::uuid[]));
