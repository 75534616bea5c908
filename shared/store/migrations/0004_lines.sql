-- migrate:no-transaction
-- What waits, by tenant and in its order: to count it, and to give each tenant its turn. Its predicate
-- is nothing that a claim says: one must never be tempted to walk it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_lines ON jobs (tenant, pool, priority, knocked_at)
    WHERE completed_at IS NULL AND lease_until IS NULL;
