-- Makes the partitions of trace_spans for some days (UTC), moves their rows out of the default
-- partition, and returns how many it made. When all exist it reads the catalog and takes no lock.
-- Days more than a year away are left to the default partition: clocks are wrong at times, and each
-- partition is planned for.
--
-- SECURITY DEFINER, since the role that writes spans owns no table. Where others may create in the
-- schema, they could add a function that fits a call better than the built-in one and would run as
-- the owner: so the functions are qualified, and the operators have exactly their types.
CREATE OR REPLACE FUNCTION trace_ensure_days(p_days date[])
RETURNS integer
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path FROM CURRENT
SET timezone = 'UTC'
-- trace_partitions reads the bounds back from text.
SET datestyle = 'ISO'
-- ATTACH waits for readers of the default partition, and later readers wait behind it: a day that
-- cannot be made soon is left to the next call, and its spans to the default partition.
SET lock_timeout = '3s'
AS $$
DECLARE
    v_today  date := (pg_catalog.now() AT TIME ZONE 'UTC')::date;
    v_day    date;
    v_name   text;
    v_checks text;
    v_made   integer := 0;
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.unnest(p_days) AS day
        WHERE day BETWEEN v_today - 366 AND v_today + 366
          AND NOT EXISTS (
              SELECT FROM trace_partitions WHERE starts_at < day + 1 AND ends_at > day
          )
    ) THEN
        RETURN 0;
    END IF;

    BEGIN
        -- Callers take turns, and whoever waited sees what the one before has made.
        PERFORM pg_catalog.pg_advisory_xact_lock(
            pg_catalog.hashtextextended('trace_ensure_partitions'::text, 0::bigint));
        FOR v_day IN
            SELECT DISTINCT day FROM pg_catalog.unnest(p_days) AS day
            WHERE day BETWEEN v_today - 366 AND v_today + 366
            ORDER BY day
        LOOP
            CONTINUE WHEN EXISTS (
                SELECT FROM trace_partitions WHERE starts_at < v_day + 1 AND ends_at > v_day
            );
            v_name := 'trace_spans_' || pg_catalog.to_char(v_day::timestamp, 'YYYYMMDD'::text);
            BEGIN
                EXECUTE pg_catalog.format(
                    'CREATE TABLE %I (LIKE trace_spans INCLUDING DEFAULTS)', v_name);
            EXCEPTION WHEN duplicate_table OR duplicate_object THEN
                -- A detached partition, or somebody's own: the other days must not wait for it.
                RAISE WARNING 'no partition for %: % exists and is none; that day''s spans go to '
                    'trace_spans_default until it is attached or renamed', v_day, v_name;
                CONTINUE;
            END;
            -- As they are on trace_spans, also NOT VALID, which LIKE would not keep.
            SELECT pg_catalog.string_agg(
                pg_catalog.format(
                    'ADD CONSTRAINT %I %s', conname, pg_catalog.pg_get_constraintdef(oid)),
                ', ')
            INTO v_checks
            FROM pg_catalog.pg_constraint
            WHERE conrelid = 'trace_spans'::regclass AND contype = 'c'::"char";
            IF v_checks IS NOT NULL THEN
                EXECUTE pg_catalog.format('ALTER TABLE %I ', v_name) || v_checks;
            END IF;
            -- Who inserts from now on waits before it looks for the row's partition: behind the move it
            -- would find that the default one is no longer the right one, and fail.
            LOCK TABLE ONLY trace_spans IN SHARE ROW EXCLUSIVE MODE;
            -- No row may slip in between the move and ATTACH, which would then fail. ATTACH takes
            -- the same lock anyway.
            LOCK TABLE trace_spans_default IN ACCESS EXCLUSIVE MODE;
            EXECUTE pg_catalog.format(
                'WITH moved AS (
                     DELETE FROM trace_spans_default
                     WHERE started_at >= $1 AND started_at < $1 + 1
                     RETURNING *
                 )
                 INSERT INTO %I SELECT * FROM moved', v_name)
            USING v_day;
            EXECUTE pg_catalog.format(
                'ALTER TABLE trace_spans ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                v_name, v_day::timestamptz, (v_day + 1)::timestamptz);
            EXECUTE pg_catalog.format(
                'COMMENT ON TABLE %I IS %L', v_name,
                pg_catalog.format('Spans that started on %s UTC.', v_day));
            v_made := v_made + 1;
        END LOOP;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        -- The block's work is undone as a whole.
        RETURN 0;
    END;
    RETURN v_made;
END
$$;

COMMENT ON FUNCTION trace_ensure_days(date[]) IS
    'Makes the partitions of these days (UTC), unless more than a year away, and moves the days'' '
    'rows out of the default partition; returns how many were made, 0 when all exist or a reader of '
    'the default partition was in the way for 3 s. A day whose name another relation has is left '
    'out. Any number of sessions may call it at once.';

REVOKE ALL ON FUNCTION trace_ensure_days(date[]) FROM PUBLIC;
