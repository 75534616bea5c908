-- The truth of everything: jobs, their history, the heads of ordering keys, and what is still to be told.

CREATE TABLE key_heads (
    tenant uuid NOT NULL,
    key text NOT NULL,
    tail bigint NOT NULL,  -- the last place that was given out
    head uuid,             -- the one job of this key that may run now
    PRIMARY KEY (tenant, key)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    type text NOT NULL,
    pool text NOT NULL,
    priority text NOT NULL CHECK (priority IN ('high', 'normal', 'low')),
    key text,
    seq bigint,                                -- its place in its key
    blocks boolean NOT NULL DEFAULT false,     -- a final failure holds the key
    state text NOT NULL CHECK (state IN (
        'scheduled', 'queued', 'running', 'retrying', 'cancelling',
        'completed', 'failed', 'cancelled', 'expired')),
    due timestamptz,                           -- when a scheduled or retrying job may run
    knocked_at timestamptz,                    -- set only where a knock was really made
    token bigint NOT NULL DEFAULT 0,           -- the fence: grows with every claim and rescue
    lease_until timestamptz,
    attempt integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL,
    replays integer NOT NULL DEFAULT 0,
    sequence integer NOT NULL DEFAULT 1,       -- number of its last event
    progress smallint NOT NULL DEFAULT 0,
    start_deadline timestamptz,
    deadline timestamptz NOT NULL,
    result_ttl interval NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    started_at timestamptz,
    completed_at timestamptz,                  -- set exactly while the job has an ending
    expires_at timestamptz,
    track_id text NOT NULL,
    traceparent text,
    tags text[] NOT NULL DEFAULT '{}',
    callback_url text,
    callback_events text[] NOT NULL DEFAULT '{}',
    message text,
    error_code text,
    error text,
    request bytea NOT NULL,                    -- what a client wrote is bytes, never jsonb
    checkpoint bytea,
    result bytea,
    CHECK ((key IS NULL) = (seq IS NULL)),
    CHECK ((lease_until IS NOT NULL) = (state IN ('running', 'cancelling'))),
    CHECK ((completed_at IS NOT NULL) = (state IN ('completed', 'failed', 'cancelled', 'expired'))),
    CHECK ((due IS NOT NULL) OR (state NOT IN ('scheduled', 'retrying')))
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05);

-- Predicates speak of completed_at, not of state, where a claim must never be tempted to walk
-- the whole waiting line instead of looking its jobs up by id.
CREATE UNIQUE INDEX jobs_places ON jobs (tenant, key, seq) WHERE key IS NOT NULL;
CREATE INDEX jobs_lanes ON jobs (tenant, key, seq) WHERE key IS NOT NULL AND completed_at IS NULL;
CREATE INDEX jobs_due ON jobs (due) WHERE state IN ('scheduled', 'retrying');
CREATE INDEX jobs_running ON jobs (id) WHERE state IN ('running', 'cancelling');
CREATE INDEX jobs_knocked ON jobs (pool, priority, knocked_at)
    WHERE state = 'queued' AND knocked_at IS NOT NULL;
CREATE INDEX jobs_deadlines ON jobs (deadline) WHERE completed_at IS NULL;
CREATE INDEX jobs_start_deadlines ON jobs (start_deadline)
    WHERE start_deadline IS NOT NULL AND started_at IS NULL AND completed_at IS NULL;
CREATE INDEX jobs_expiring ON jobs (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX jobs_dead ON jobs (tenant, id) WHERE state = 'failed';

CREATE FUNCTION endings_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'job % has ended as %: it cannot become %', OLD.id, OLD.state, NEW.state
        USING ERRCODE = 'restrict_violation';
END $$;

-- The net under the guards of every statement: only a replay, which opens a new run, may pass.
CREATE TRIGGER endings_are_final BEFORE UPDATE OF state ON jobs FOR EACH ROW
    WHEN (OLD.completed_at IS NOT NULL AND NEW.state IS DISTINCT FROM OLD.state
          AND NOT (OLD.state <> 'completed' AND NEW.state = 'queued' AND NEW.replays = OLD.replays + 1))
    EXECUTE FUNCTION endings_are_final();

CREATE TABLE job_events (
    job_id uuid NOT NULL,
    sequence integer NOT NULL,
    replays integer NOT NULL,
    kind text NOT NULL,            -- 'accepted', or the state that was entered
    token bigint NOT NULL,
    attempt integer NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    error text,
    PRIMARY KEY (job_id, sequence)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.1);

CREATE UNIQUE INDEX one_ending ON job_events (job_id, replays)
    WHERE kind IN ('completed', 'failed', 'cancelled', 'expired');

CREATE TABLE outbox (
    id bigserial PRIMARY KEY,
    route text NOT NULL,
    job_ids uuid[] NOT NULL,
    keyed boolean NOT NULL,
    track_ids text NOT NULL,       -- of its jobs, with commas: for the message's header
    due timestamptz NOT NULL,      -- from then on the relay may publish it
    at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX outbox_due ON outbox (due);

CREATE TABLE idempotency_keys (
    tenant uuid NOT NULL,
    caller text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    job_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, caller, key)
);
CREATE INDEX idempotency_keys_jobs ON idempotency_keys (job_id);

CREATE TABLE effects (
    job_id uuid NOT NULL,
    name text NOT NULL,
    token bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, name)
);

CREATE TABLE tombstones (
    tenant uuid NOT NULL,
    job_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, job_id)
);
CREATE INDEX tombstones_at ON tombstones (at);

CREATE TABLE blobs (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX blobs_created ON blobs (created_at);

CREATE TABLE blob_uses (
    blob_id uuid NOT NULL REFERENCES blobs,
    job_id uuid NOT NULL,
    PRIMARY KEY (blob_id, job_id)
);
CREATE INDEX blob_uses_jobs ON blob_uses (job_id);
