-- Moves the rows that 001 set aside into trace_spans, with their ids and creation times.
DO $$
DECLARE
    -- A partition costs planning time in each query; older days share the default partition.
    c_most_partitions CONSTANT integer := 400;
    v_day     date;
    v_earlier bigint;
    v_moved   bigint;
    v_highest bigint;
    v_extra   text;
    v_odd     text;
BEGIN
    IF to_regclass(format('%I.trace_spans_earlier', current_schema())) IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('timezone', 'UTC', true);

    SELECT string_agg(DISTINCT quote_literal(status), ', ') INTO v_odd
    FROM trace_spans_earlier
    WHERE status NOT IN ('started', 'completed', 'failed', 'timeout');
    IF v_odd IS NOT NULL THEN
        RAISE EXCEPTION 'the earlier trace_spans has rows with a status other than started, '
            'completed, failed or timeout: %; correct or remove them first', left(v_odd, 200)
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;

    FOR v_day IN
        SELECT started_at::date
        FROM trace_spans_earlier
        WHERE started_at IS NOT NULL AND isfinite(started_at)
        GROUP BY 1 ORDER BY 1 DESC LIMIT c_most_partitions
    LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF trace_spans FOR VALUES FROM (%L) TO (%L)',
            'trace_spans_' || to_char(v_day, 'YYYYMMDD'),
            v_day::timestamptz, (v_day + 1)::timestamptz);
        EXECUTE format(
            'COMMENT ON TABLE %I IS %L',
            'trace_spans_' || to_char(v_day, 'YYYYMMDD'),
            format('Spans that started on %s UTC.', v_day));
    END LOOP;

    INSERT INTO trace_spans (
        started_at, completed_at, execution_id, created_at, id, trace_id, span_id,
        parent_span_id, duration_ms, service, operation, status, job_id, model_id, region,
        error_type, error_message, metadata)
    SELECT
        started_at, completed_at, execution_id, coalesce(created_at, started_at), id, trace_id,
        span_id, parent_span_id, duration_ms, service, operation, coalesce(status, 'started'),
        job_id, model_id, region, error_type, error_message, metadata
    FROM trace_spans_earlier;
    GET DIAGNOSTICS v_moved = ROW_COUNT;

    SELECT count(*), max(id) INTO v_earlier, v_highest FROM trace_spans_earlier;
    IF v_moved <> v_earlier THEN
        RAISE EXCEPTION 'adopting the earlier trace_spans moved % of % rows', v_moved, v_earlier;
    END IF;
    IF v_highest > 0 THEN
        PERFORM setval('trace_spans_id_seq', v_highest);
    END IF;

    SELECT string_agg(earlier.attname, ', ' ORDER BY earlier.attname) INTO v_extra
    FROM pg_attribute AS earlier
    WHERE earlier.attrelid = 'trace_spans_earlier'::regclass
      AND earlier.attnum > 0 AND NOT earlier.attisdropped
      AND NOT EXISTS (
          SELECT FROM pg_attribute AS ours
          WHERE ours.attrelid = 'trace_spans'::regclass AND ours.attname = earlier.attname
      );
    IF v_extra IS NULL THEN
        DROP TABLE trace_spans_earlier;
        RAISE INFO 'adopted the earlier trace_spans: % rows moved', v_moved;
    ELSE
        RAISE INFO 'adopted the earlier trace_spans: % rows copied; it is kept as '
            'trace_spans_earlier, since it alone has the columns %', v_moved, v_extra;
    END IF;
    RESET timezone;
END
$$;
