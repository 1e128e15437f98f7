-- Everything that is due, at most once in p_every: the sums of rows that others inserted, fresh
-- statistics, the partitions of the days to come, and retention where somebody set one. What fails is
-- said and does not keep the rest from being done. Any writer calls it, and pg_cron may.
--
-- SECURITY DEFINER, since the role that writes owns no table: see trace_ensure_days for the
-- qualified names.
CREATE OR REPLACE FUNCTION trace_maintain(p_every interval DEFAULT '20 hours')
RETURNS TABLE (action text, object_name text, rows_touched bigint)
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path FROM CURRENT
SET timezone = 'UTC'
-- trace_partitions reads the bounds back from text.
SET datestyle = 'ISO'
AS $$
DECLARE
    v_retention_days integer;
    v_partition      record;
    v_day            date;
    v_inserted       bigint;
    v_number         bigint;
    v_days           date[];
BEGIN
    -- Whoever comes while another is at it has nothing to do.
    SELECT settings.retention_days INTO v_retention_days
    FROM trace_maintenance AS settings
    WHERE settings.last_started_at <= pg_catalog.now() - p_every
    FOR UPDATE SKIP LOCKED;
    IF NOT found THEN
        RETURN;
    END IF;
    UPDATE trace_maintenance AS settings SET last_started_at = pg_catalog.now()
    WHERE settings.is_only_row;

    -- Days whose partitions have rows that were not there last time, and those in the default one.
    FOR v_day, v_inserted IN
        SELECT
            (parts.starts_at AT TIME ZONE 'UTC'::text)::date,
            pg_catalog.sum(parts.inserted)::bigint
        FROM (
            SELECT
                partitions.starts_at,
                pg_catalog.pg_stat_get_tuples_inserted(
                    pg_catalog.to_regclass(
                        pg_catalog.quote_ident(partitions.partition_name::text))::oid) AS inserted
            FROM trace_partitions AS partitions
            WHERE NOT partitions.is_default
            UNION ALL
            SELECT days.starts_at, pg_catalog.count(*)
            FROM (
                SELECT pg_catalog.date_trunc('day'::text, spans.started_at) AS starts_at
                FROM trace_spans_default AS spans
                WHERE pg_catalog.isfinite(spans.started_at)
            ) AS days
            GROUP BY days.starts_at
        ) AS parts
        LEFT JOIN trace_folded_days AS folded
            ON folded.day = (parts.starts_at AT TIME ZONE 'UTC'::text)::date
        GROUP BY parts.starts_at, folded.rows_inserted
        HAVING pg_catalog.sum(parts.inserted)::bigint
            IS DISTINCT FROM coalesce(folded.rows_inserted, 0::bigint)
        ORDER BY parts.starts_at
    LOOP
        BEGIN
            v_number := trace_fold_day(v_day, v_inserted);
            RETURN QUERY SELECT 'folded'::text, v_day::text, v_number;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'rows of % by other writers were not summed: %', v_day, SQLERRM;
        END;
    END LOOP;

    -- Autovacuum looks only at what changed by a fifth.
    FOR v_partition IN
        SELECT partitions.partition_name::text AS name, partitions.estimated_rows
        FROM trace_partitions AS partitions
        WHERE pg_catalog.pg_stat_get_mod_since_analyze(
            pg_catalog.to_regclass(pg_catalog.quote_ident(partitions.partition_name::text))::oid)
            > 1000::bigint + partitions.estimated_rows / 20::bigint
        ORDER BY partitions.starts_at
    LOOP
        BEGIN
            EXECUTE pg_catalog.format('ANALYZE %I', v_partition.name);
            RETURN QUERY SELECT 'analyzed'::text, v_partition.name, v_partition.estimated_rows;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING '% was not analyzed: %', v_partition.name, SQLERRM;
        END;
    END LOOP;

    -- Last, since both lock all of trace_spans, against writers too, until the end.
    -- Days behind us get a partition when they are worth one, a few at a time, the latest first.
    BEGIN
        SELECT pg_catalog.array_agg(chosen.day) INTO v_days
        FROM (
            SELECT
                days.day,
                pg_catalog.sum(days.spans) OVER (ORDER BY days.day DESC) - days.spans AS before
            FROM (
                SELECT (spans.started_at AT TIME ZONE 'UTC'::text)::date AS day,
                    pg_catalog.count(*) AS spans
                FROM trace_spans_default AS spans
                WHERE spans.started_at
                    BETWEEN pg_catalog.now() - interval '366 days' AND pg_catalog.now()
                GROUP BY 1
                HAVING pg_catalog.count(*) >= 1000::bigint
            ) AS days
        ) AS chosen
        WHERE chosen.before < 200000::numeric;
        v_number := trace_ensure_days(v_days) + trace_ensure_partitions(7);
        RETURN QUERY SELECT 'made'::text, 'partitions'::text, v_number;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'partitions were not made: %', SQLERRM;
    END;

    IF v_retention_days IS NOT NULL THEN
        BEGIN
            FOR action, object_name, rows_touched IN
                SELECT removed.action, removed.object_name, removed.rows_removed
                FROM trace_retain(v_retention_days) AS removed
                WHERE removed.rows_removed > 0::bigint OR removed.action <> 'deleted'::text
            LOOP
                RETURN NEXT;
                -- Somebody reads that partition: again in an hour.
                IF action = 'kept'::text THEN
                    UPDATE trace_maintenance AS settings
                    SET last_started_at = least(
                        settings.last_started_at,
                        pg_catalog.now() - p_every + interval '1 hour')
                    WHERE settings.is_only_row;
                END IF;
            END LOOP;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'retention failed: %', SQLERRM;
        END;
    END IF;
END
$$;

COMMENT ON FUNCTION trace_maintain(interval) IS
    'Makes partitions ahead, and for days that have a thousand rows in the default one, removes what is older than trace_maintenance.retention_days, sums rows '
    'that others inserted, and analyzes partitions that grew, unless that was done within p_every; '
    'says what it did. Any number of sessions may call it at once; pg_cron may call it daily.';

REVOKE ALL ON FUNCTION trace_maintain(interval) FROM PUBLIC;
