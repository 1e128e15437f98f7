-- Removes what is older than p_days days: whole partitions that ended before then, rows of the
-- default partition, open spans that nobody ended, windows of drops, and the records of batches and
-- of writers that are gone. The ledger is kept two days longer: a writer in doubt about a batch may
-- send it again, and must find it there.
--
-- Partitions go last, since dropping one locks all of trace_spans until the end.
-- For the owner of the tables; pg_cron may call it daily.
CREATE OR REPLACE FUNCTION trace_retain(p_days integer)
RETURNS TABLE (action text, object_name text, rows_removed bigint, is_estimate boolean)
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SET search_path FROM CURRENT
-- trace_partitions reads the bounds back from text, and a day is one of UTC.
SET timezone = 'UTC'
SET datestyle = 'ISO'
-- Writers and readers queue behind a drop that waits: not for ever.
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
    v_cutoff := now() - make_interval(days => p_days);

    BEGIN
        RETURN QUERY
        WITH deleted AS (
            DELETE FROM trace_spans_default WHERE started_at < v_cutoff RETURNING 1
        )
        SELECT 'deleted', 'trace_spans_default', count(*), false FROM deleted;

        RETURN QUERY
        WITH deleted AS (
            DELETE FROM trace_open_spans WHERE reported_at < v_cutoff RETURNING 1
        )
        SELECT 'deleted', 'trace_open_spans', count(*), false FROM deleted;

        RETURN QUERY
        WITH deleted AS (
            DELETE FROM trace_drops WHERE until < v_cutoff RETURNING 1
        )
        SELECT 'deleted', 'trace_drops', count(*), false FROM deleted;

        RETURN QUERY
        WITH deleted AS (
            DELETE FROM trace_batches
            WHERE committed_at < v_cutoff - c_ledger_stays
            RETURNING 1
        )
        SELECT 'deleted', 'trace_batches', count(*), false FROM deleted;

        RETURN QUERY
        WITH deleted AS (
            DELETE FROM trace_writers
            WHERE coalesce(stopped_at, recovered_at) < v_cutoff AND last_seen_at < v_cutoff
            RETURNING 1
        )
        SELECT 'deleted', 'trace_writers', count(*), false FROM deleted;

        FOR v_partition IN
            SELECT partitions.partition_name, partitions.estimated_rows
            FROM trace_partitions AS partitions
            WHERE partitions.ends_at <= v_cutoff
            ORDER BY partitions.ends_at
        LOOP
            -- Counting would read what dropping need not.
            EXECUTE format('DROP TABLE %I', v_partition.partition_name);
            RETURN QUERY SELECT
                'dropped', v_partition.partition_name::text, v_partition.estimated_rows, true;
        END LOOP;
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION 'nothing was removed: another session held a table or row for more than %; '
            'see pg_stat_activity for long transactions and call trace_retain again',
            current_setting('lock_timeout')
            USING ERRCODE = 'lock_not_available';
    END;
END
$$;

COMMENT ON FUNCTION trace_retain(integer) IS
    'Deletes rows of the default partition, of trace_open_spans and of trace_drops older than that '
    'many days, of trace_batches two days older, and of trace_writers that stopped or were '
    'recovered, and drops the daily partitions that ended before; says what went, with row counts '
    '(estimates for dropped partitions). Waits 30 s for a lock.';

REVOKE ALL ON FUNCTION trace_retain(integer) FROM PUBLIC;
