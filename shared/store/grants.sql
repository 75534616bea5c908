-- What each role of deploy/database/roles.sql may do, and no more: the statements of queries/ say
-- what that is, and a test compares. Run after every migration; without the roles it does nothing.
DO $$
BEGIN
    IF to_regrole('uketsuke_front') IS NULL OR to_regrole('uketsuke_back') IS NULL
       OR to_regrole('uketsuke_scaler') IS NULL THEN
        RETURN;
    END IF;
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM uketsuke_front, uketsuke_back, uketsuke_scaler;
    REVOKE ALL ON ALL SEQUENCES IN SCHEMA public
      FROM uketsuke_front, uketsuke_back, uketsuke_scaler;

    -- both services: knocks and blobs; migrations, to wait for the schema
    GRANT SELECT ON migrations, jobs, key_heads, job_events, outbox, idempotency_keys, blobs
       TO uketsuke_front, uketsuke_back;
    GRANT INSERT ON job_events, outbox, blobs, blob_uses TO uketsuke_front, uketsuke_back;
    GRANT UPDATE (due) ON outbox TO uketsuke_front, uketsuke_back;
    GRANT DELETE ON outbox TO uketsuke_front, uketsuke_back;
    GRANT USAGE ON SEQUENCE outbox_id_seq TO uketsuke_front, uketsuke_back;
    GRANT UPDATE (head) ON key_heads TO uketsuke_front, uketsuke_back;
    GRANT UPDATE (id) ON blobs TO uketsuke_front, uketsuke_back;  -- that is, to lock them

    -- front: takes jobs in, cancels and replays them; it removes nothing but knocks
    GRANT INSERT ON jobs, key_heads, idempotency_keys TO uketsuke_front;
    GRANT UPDATE (tail) ON key_heads TO uketsuke_front;
    GRANT UPDATE (state, due, seq, knocked_at, token, attempt, crashes, replays, sequence, progress,
                  started_at, completed_at, expires_at, updated_at, deadline, start_deadline,
                  message, error_code, error) ON jobs TO uketsuke_front;
    GRANT SELECT ON tombstones TO uketsuke_front;

    -- back: runs jobs and clears them away; it takes none in, and gives none another request
    GRANT UPDATE (state, due, knocked_at, token, lease_until, attempt, crashes, sequence, progress,
                  started_at, completed_at, expires_at, updated_at, message, error_code, error,
                  checkpoint, result) ON jobs TO uketsuke_back;
    GRANT SELECT ON blob_uses, effects, tombstones TO uketsuke_back;
    GRANT INSERT ON effects, tombstones TO uketsuke_back;
    GRANT DELETE ON jobs, key_heads, job_events, idempotency_keys, effects, tombstones, blobs,
                    blob_uses TO uketsuke_back;

    -- scaler: how many wait in which pool and since when, and nothing of what they are about
    GRANT SELECT (pool, priority, state, knocked_at) ON jobs TO uketsuke_scaler;
END $$;
