-- Tenants by name, what each may use, and the API keys of callers. The code before this one asks nobody who he is.

CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    rate double precision CHECK (rate > 0),  -- submits a second; NULL in these four: no limit
    burst integer CHECK (burst >= 1),
    queued integer CHECK (queued >= 0),
    streams integer CHECK (streams >= 0),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((rate IS NULL) = (burst IS NULL))
);
INSERT INTO tenants (id, name) VALUES ('00000000-0000-0000-0000-000000000000', 'default');

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL REFERENCES tenants,
    name text NOT NULL,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),  -- the key itself is nowhere
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz  -- to the minute
);
CREATE INDEX api_keys_tenants ON api_keys (tenant);

-- Where each tenant stands in what it may use. A crash of the database forgets it: all begin anew.
CREATE UNLOGGED TABLE rate_marks (
    tenant uuid PRIMARY KEY,
    paid_until timestamptz NOT NULL,  -- the theoretical arrival time of GCRA
    granted integer NOT NULL          -- by the last question
) WITH (fillfactor = 50);
CREATE UNLOGGED TABLE open_streams (
    tenant uuid NOT NULL,
    replica uuid NOT NULL,
    streams integer NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant, replica)
) WITH (fillfactor = 50);
