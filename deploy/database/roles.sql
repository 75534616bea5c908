-- The roles of a production database: run once by a superuser, in the database of the desk.
-- What they may do with its tables is in shared/store/grants.sql, which every migration runs.
--
-- uketsuke_owner     owns everything, logs in nowhere
-- uketsuke_migrator  changes the schema, as the owner
-- uketsuke_front, uketsuke_back  the services
-- uketsuke_scaler    counts waiting jobs for an autoscaler
--
-- Passwords are set elsewhere: ALTER ROLE uketsuke_front PASSWORD '…'. Without one nobody gets in.
DO $$
DECLARE wanted text;
BEGIN
    IF to_regrole('uketsuke_owner') IS NULL THEN
        CREATE ROLE uketsuke_owner NOLOGIN;
    END IF;
    FOREACH wanted IN ARRAY ARRAY['uketsuke_migrator', 'uketsuke_front', 'uketsuke_back',
                                  'uketsuke_scaler'] LOOP
        IF to_regrole(wanted) IS NULL THEN
            EXECUTE format('CREATE ROLE %I LOGIN', wanted);
        END IF;
    END LOOP;

    GRANT uketsuke_owner TO uketsuke_migrator;
    ALTER ROLE uketsuke_migrator SET role = uketsuke_owner;  -- what it makes is the owner's
    FOREACH wanted IN ARRAY ARRAY['uketsuke_migrator', 'uketsuke_front', 'uketsuke_back',
                                  'uketsuke_scaler'] LOOP
        EXECUTE format('ALTER ROLE %I SET search_path = public', wanted);
    END LOOP;

    ALTER ROLE uketsuke_scaler SET default_transaction_read_only = on;
    ALTER ROLE uketsuke_scaler SET statement_timeout = '5s';

    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO uketsuke_migrator, uketsuke_front,'
                   ' uketsuke_back, uketsuke_scaler', current_database());
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    ALTER SCHEMA public OWNER TO uketsuke_owner;
    GRANT USAGE ON SCHEMA public TO uketsuke_front, uketsuke_back, uketsuke_scaler;
END $$;
