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
    GRANT SELECT ON migrations, jobs, key_heads, job_events, outbox, idempotency_keys, blobs,
                    unique_keys, batches, batch_jobs, workers
       TO uketsuke_front, uketsuke_back;
    GRANT INSERT ON job_events, outbox, blobs, blob_uses, workers, tombstones
       TO uketsuke_front, uketsuke_back;
    GRANT UPDATE (seen_at) ON workers TO uketsuke_front, uketsuke_back;
    GRANT DELETE ON workers TO uketsuke_front, uketsuke_back;
    GRANT UPDATE (job_id) ON unique_keys TO uketsuke_front, uketsuke_back;  -- back: to lock them
    GRANT SELECT ON tombstones, effects, blob_uses TO uketsuke_front, uketsuke_back;
    GRANT DELETE ON jobs, key_heads, job_events, effects, blob_uses, unique_keys, idempotency_keys
       TO uketsuke_front, uketsuke_back;  -- of ended jobs: when their time is over, or on demand
    GRANT UPDATE (cancelled, completed, completed_at, expired, expires_at, failed) ON batches
       TO uketsuke_front, uketsuke_back;
    GRANT UPDATE (due) ON outbox TO uketsuke_front, uketsuke_back;
    GRANT DELETE ON outbox TO uketsuke_front, uketsuke_back;
    GRANT USAGE ON SEQUENCE outbox_id_seq TO uketsuke_front, uketsuke_back;
    GRANT UPDATE (head) ON key_heads TO uketsuke_front, uketsuke_back;
    GRANT UPDATE (id) ON blobs TO uketsuke_front, uketsuke_back;  -- that is, to lock them

    -- front: knows keys and quotas, and makes none; what it notes of them is who uses how much
    GRANT SELECT ON api_keys, tenants, rate_marks, open_streams TO uketsuke_front;
    GRANT UPDATE (last_used_at) ON api_keys TO uketsuke_front;
    GRANT INSERT ON rate_marks, open_streams TO uketsuke_front;
    GRANT UPDATE (paid_until, granted) ON rate_marks TO uketsuke_front;
    GRANT UPDATE (streams, at) ON open_streams TO uketsuke_front;
    GRANT DELETE ON open_streams TO uketsuke_front;

    -- front: takes jobs in, cancels, replays and deletes them; it gives none a result
    GRANT INSERT ON jobs, key_heads, idempotency_keys, batches, batch_jobs TO uketsuke_front;
    GRANT UPDATE (ending) ON batch_jobs TO uketsuke_front, uketsuke_back;
    GRANT INSERT ON unique_keys TO uketsuke_front;
    GRANT UPDATE (until) ON unique_keys TO uketsuke_front;
    GRANT UPDATE (job_id) ON idempotency_keys TO uketsuke_front;
    GRANT UPDATE (tail) ON key_heads TO uketsuke_front;
    GRANT UPDATE (state, due, seq, knocked_at, token, attempt, crashes, replays, sequence, progress,
                  started_at, completed_at, expires_at, updated_at, deadline, start_deadline,
                  message, error_code, error) ON jobs TO uketsuke_front;

    -- back: runs jobs and clears them away; it takes none in, and gives none another request
    GRANT UPDATE (state, due, knocked_at, token, lease_until, attempt, crashes, sequence, progress,
                  started_at, completed_at, expires_at, updated_at, message, error_code, error,
                  checkpoint, result) ON jobs TO uketsuke_back;
    GRANT INSERT ON effects TO uketsuke_back;
    GRANT DELETE ON tombstones, blobs, batches, batch_jobs TO uketsuke_back;

    -- scaler: how many wait in which pool and since when, and nothing of what they are about
    GRANT SELECT (pool, priority, state, knocked_at) ON jobs TO uketsuke_scaler;
END $$;
