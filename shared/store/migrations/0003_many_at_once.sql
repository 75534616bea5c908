-- Unique keys, which one job of a tenant and type holds at a time; batches; and which workers live.
-- The code before this one knows none of it: its jobs have neither key nor batch.

ALTER TABLE jobs
    ADD COLUMN unique_key text,  -- held while the job lives: a replay has to take it again
    ADD COLUMN batch uuid;

CREATE TABLE unique_keys (
    tenant uuid NOT NULL,
    type text NOT NULL,
    key text NOT NULL,
    job_id uuid NOT NULL,      -- whose it is
    until timestamptz,         -- NULL: while that job lives
    PRIMARY KEY (tenant, type, key)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX unique_keys_jobs ON unique_keys (job_id);

CREATE TABLE batches (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    track_id text NOT NULL,
    refused integer NOT NULL,  -- submissions that did not become jobs
    answer bytea NOT NULL,     -- what its caller was told, place by place
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    completed_at timestamptz,  -- set once, when each of its jobs has had an ending
    expires_at timestamptz,
    completed integer,         -- how its jobs stood at that moment
    failed integer,
    cancelled integer,
    expired integer,
    CHECK ((completed_at IS NULL) = (expires_at IS NULL))
);
CREATE INDEX batches_open ON batches (id) WHERE completed_at IS NULL;
CREATE INDEX batches_expiring ON batches (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE batch_jobs (
    batch uuid NOT NULL,
    place integer NOT NULL,    -- among all submissions of the batch, from 0
    job_id uuid NOT NULL,
    ending text,               -- of a job that is gone
    PRIMARY KEY (batch, place)
);
CREATE INDEX batch_jobs_jobs ON batch_jobs (job_id);

CREATE TABLE workers (
    id uuid PRIMARY KEY,       -- of one process, from its start to its end
    pools text[] NOT NULL,
    types text[] NOT NULL,     -- that it has handlers for
    lacking text[] NOT NULL,   -- and of those, the ones whose extra is not installed
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
