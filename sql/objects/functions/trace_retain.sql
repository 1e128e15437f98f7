-- Removes what is older than p_days days: whole partitions that ended before then, rows of the
-- default partition, and the records of batches and of writers that are gone.
-- For the owner of the tables; pg_cron may call it daily.
CREATE OR REPLACE FUNCTION trace_retain(p_days integer)
RETURNS TABLE (action text, object_name text, rows_removed bigint, is_estimate boolean)
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    v_cutoff    timestamptz;
    v_partition record;
BEGIN
    IF p_days IS NULL OR p_days < 1 THEN
        RAISE EXCEPTION 'p_days must be 1 or more, not %', coalesce(p_days::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_cutoff := now() - make_interval(days => p_days);

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

    RETURN QUERY
    WITH deleted AS (
        DELETE FROM trace_spans_default WHERE started_at < v_cutoff RETURNING 1
    )
    SELECT 'deleted', 'trace_spans_default', count(*), false FROM deleted;

    RETURN QUERY
    WITH deleted AS (
        DELETE FROM trace_batches WHERE committed_at < v_cutoff RETURNING 1
    )
    SELECT 'deleted', 'trace_batches', count(*), false FROM deleted;

    RETURN QUERY
    WITH deleted AS (
        DELETE FROM trace_writers
        WHERE stopped_at < v_cutoff AND last_seen_at < v_cutoff
        RETURNING 1
    )
    SELECT 'deleted', 'trace_writers', count(*), false FROM deleted;
END
$$;

COMMENT ON FUNCTION trace_retain(integer) IS
    'Drops the daily partitions that ended that many days ago, and deletes older rows of the '
    'default partition, of trace_batches, and of trace_writers that stopped; says what went, with '
    'row counts (estimates for dropped partitions).';

REVOKE ALL ON FUNCTION trace_retain(integer) FROM PUBLIC;
