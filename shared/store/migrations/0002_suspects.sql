-- migrate:no-transaction
-- Jobs that ended a worker and wait: few, and looked for every second by every worker.
CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_suspects ON jobs (updated_at)
    WHERE state = 'queued' AND crashes > 0;
