-- Moves the rows that 001 set aside into trace_spans, with their ids and creation times, and grants
-- on trace_spans what was granted on the earlier table.
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
    v_grant   text;
    v_lost    text;
BEGIN
    IF to_regclass(format('%I.trace_spans_earlier', current_schema())) IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('timezone', 'UTC', true);
    -- A policy that hid rows would hide them from the count as well: an error instead.
    PERFORM set_config('row_security', 'off', true);

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

    -- With the owner's own rights, for where the tables change hands; and who may insert rows needs
    -- their numbers.
    FOR v_grant IN
        WITH acls AS (
            SELECT NULL::name AS column_name, coalesce(relacl, acldefault('r', relowner)) AS acl
            FROM pg_class
            WHERE oid = 'trace_spans_earlier'::regclass
            UNION ALL
            SELECT earlier.attname, earlier.attacl
            FROM pg_attribute AS earlier
            JOIN pg_attribute AS ours
                ON ours.attname = earlier.attname AND ours.attrelid = 'trace_spans'::regclass
            WHERE earlier.attrelid = 'trace_spans_earlier'::regclass AND earlier.attnum > 0
        ),
        rights AS (
            SELECT
                acls.column_name, exploded.privilege_type, exploded.is_grantable,
                CASE exploded.grantee
                    WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(exploded.grantee))
                END AS grantee
            FROM acls
            CROSS JOIN LATERAL aclexplode(acls.acl) AS exploded
            WHERE exploded.grantee
                <> (SELECT relowner FROM pg_class WHERE oid = 'trace_spans'::regclass)
        )
        SELECT format(
            'GRANT %s%s ON trace_spans TO %s%s', privilege_type,
            ' (' || quote_ident(column_name) || ')', grantee,
            CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
        FROM rights
        UNION ALL
        SELECT DISTINCT 'GRANT USAGE ON SEQUENCE trace_spans_id_seq TO ' || grantee
        FROM rights WHERE privilege_type = 'INSERT'
    LOOP
        EXECUTE v_grant;
    END LOOP;

    SELECT string_agg(lost, ', ' ORDER BY lost) INTO v_lost
    FROM (
        SELECT 'trigger ' || tgname FROM pg_trigger
        WHERE tgrelid = 'trace_spans_earlier'::regclass AND NOT tgisinternal
        UNION ALL
        SELECT 'policy ' || polname FROM pg_policy
        WHERE polrelid = 'trace_spans_earlier'::regclass
    ) AS others (lost);
    IF v_lost IS NOT NULL THEN
        RAISE INFO 'the earlier trace_spans had what is not carried over: %', v_lost;
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
