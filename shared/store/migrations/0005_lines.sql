-- migrate:no-transaction
-- What lives and does not run, by tenant and in its order: to count it, and to give each tenant its
-- turn. The predicate is written so that nothing else implies it, and it implies nothing else: no
-- other statement is tempted to walk this index, and those that mean it have no other to walk.
CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_lines ON jobs (tenant, pool, priority, knocked_at)
    WHERE coalesce(lease_until, completed_at) IS NULL;
