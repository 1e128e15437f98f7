-- Removes what is older than p_days days: whole partitions that ended before then, rows of the
-- default partition, open spans that nobody ended, windows of drops, rollups, summaries of
-- executions, and the records of batches and of writers that are gone. The ledger is kept two days
-- longer: a writer in doubt about a batch may send it again, and must find it there.
--
-- Partitions go last, since dropping one locks all of trace_spans until the end. One that somebody
-- reads is kept, and said so.
-- For the owner of the tables, and for trace_maintain: see trace_ensure_days for the qualified
-- names.
CREATE OR REPLACE FUNCTION trace_retain(p_days integer)
RETURNS TABLE (action text, object_name text, rows_removed bigint, is_estimate boolean)
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SET search_path FROM CURRENT
-- trace_partitions reads the bounds back from text, and a day is one of UTC.
SET timezone = 'UTC'
SET datestyle = 'ISO'
-- For rows; for the drops below it is less.
SET lock_timeout = '30s'
AS $$
DECLARE
    c_ledger_stays CONSTANT interval := '2 days';
    v_cutoff    timestamptz;
    v_partition record;
BEGIN
    IF p_days IS NULL OR p_days < 1 THEN
        RAISE EXCEPTION 'p_days must be 1 or more, not %', coalesce(p_days::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_cutoff := pg_catalog.now() - pg_catalog.make_interval(days => p_days);

    BEGIN
        action := 'deleted'::text;
        is_estimate := false;
        DELETE FROM trace_spans_default AS old
        WHERE old.started_at < v_cutoff;
        GET DIAGNOSTICS rows_removed = ROW_COUNT;
        object_name := 'trace_spans_default'::text;
        RETURN NEXT;

        DELETE FROM trace_open_spans AS old
        WHERE old.reported_at < v_cutoff;
        GET DIAGNOSTICS rows_removed = ROW_COUNT;
        object_name := 'trace_open_spans'::text;
        RETURN NEXT;

        DELETE FROM trace_drops AS old
        WHERE old.until < v_cutoff;
        GET DIAGNOSTICS rows_removed = ROW_COUNT;
        object_name := 'trace_drops'::text;
        RETURN NEXT;

        DELETE FROM trace_rollups AS old
        WHERE old.hours IN (1::smallint, 24::smallint) AND old.starts_at < v_cutoff;
        GET DIAGNOSTICS rows_removed = ROW_COUNT;
        object_name := 'trace_rollups'::text;
        RETURN NEXT;

        DELETE FROM trace_execution_summaries AS old
        WHERE old.started_at < v_cutoff AND old.ended_at < v_cutoff;
        GET DIAGNOSTICS rows_removed = ROW_COUNT;
        object_name := 'trace_execution_summaries'::text;
        RETURN NEXT;

        DELETE FROM trace_folded_days AS old
        WHERE old.day < (v_cutoff AT TIME ZONE 'UTC'::text)::date;
        GET DIAGNOSTICS rows_removed = ROW_COUNT;
        object_name := 'trace_folded_days'::text;
        RETURN NEXT;

        DELETE FROM trace_batches AS old
        WHERE old.committed_at < v_cutoff - c_ledger_stays;
        GET DIAGNOSTICS rows_removed = ROW_COUNT;
        object_name := 'trace_batches'::text;
        RETURN NEXT;

        DELETE FROM trace_writers AS old
        WHERE coalesce(old.stopped_at, old.recovered_at) < v_cutoff
          AND old.last_seen_at < v_cutoff;
        GET DIAGNOSTICS rows_removed = ROW_COUNT;
        object_name := 'trace_writers'::text;
        RETURN NEXT;
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION 'nothing was removed: another session held a row for more than %; '
            'see pg_stat_activity for long transactions and call trace_retain again',
            pg_catalog.current_setting('lock_timeout'::text)
            USING ERRCODE = 'lock_not_available';
    END;

    -- Whoever reads an old day is waited for a moment only: writers queue behind the drop.
    PERFORM pg_catalog.set_config('lock_timeout'::text, '3s'::text, true);
    FOR v_partition IN
        SELECT partitions.partition_name, partitions.estimated_rows
        FROM trace_partitions AS partitions
        WHERE partitions.ends_at <= v_cutoff
        ORDER BY partitions.ends_at
    LOOP
        object_name := v_partition.partition_name::text;
        -- Counting would read what dropping need not.
        rows_removed := v_partition.estimated_rows;
        is_estimate := true;
        BEGIN
            EXECUTE pg_catalog.format('DROP TABLE %I', v_partition.partition_name);
            action := 'dropped'::text;
        EXCEPTION WHEN lock_not_available THEN
            action := 'kept'::text;
            rows_removed := 0;
        END;
        RETURN NEXT;
        -- The next would be waited for as long.
        EXIT WHEN action = 'kept'::text;
    END LOOP;
END
$$;

COMMENT ON FUNCTION trace_retain(integer) IS
    'Deletes rows of the default partition, of trace_open_spans, trace_drops, trace_rollups and '
    'trace_execution_summaries older than that many days, of trace_batches two days older, and of '
    'trace_writers that stopped or were recovered, and drops the daily partitions that ended before; says what went, with row counts '
    '(estimates for dropped partitions). A partition that somebody reads for more than 3 s is kept, '
    'and those behind it, with the action kept.';

REVOKE ALL ON FUNCTION trace_retain(integer) FROM PUBLIC;
