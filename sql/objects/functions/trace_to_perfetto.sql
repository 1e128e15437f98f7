-- Traces in the Trace Event Format, which Perfetto and chrome://tracing open:
-- {"traceEvents": [...], "displayTimeUnit": "ms"}. A process is a service, a thread in it a trace.
-- https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
--
-- On a thread slices can only lie within one another: a span that lies within an ancestor there, or
-- beside all, is a complete event ("X"); one that overlaps another than that is a pair of asynchronous
-- events ("b", "e"), which have a track of their own. Times are microseconds, of which three digits
-- behind the point are nanoseconds. A span that has not ended lasts until now.
CREATE OR REPLACE FUNCTION trace_to_perfetto(p_trace_ids uuid[])
RETURNS jsonb
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_span record;
    v_async text[] := '{}';
    v_track text := '';
    v_ends numeric[];
    v_rows integer[];
    v_lasts integer[];
    v_depth integer := 0;
    v_spans jsonb;
BEGIN
    SELECT jsonb_agg(
        jsonb_build_object(
            'n', wanted.n, 'row', tree.row_order, 'last', tree.last_row, 'service', tree.service,
            'trace', replace(tree.trace_id::text, '-', ''),
            'span', regexp_replace(replace(tree.span_id::text, '-', ''), '^0{16}', ''),
            'name', tree.operation, 'status', tree.status,
            'start_ns', trace_unix_us(tree.started_at)::numeric * 1000,
            'length_ns', CASE WHEN tree.status = 'started' THEN greatest(
                (trace_unix_us(now()) - trace_unix_us(tree.started_at))::numeric * 1000, 0)
                ELSE coalesce(tree.duration_ns, 0) END,
            'args', CASE jsonb_typeof(tree.metadata) WHEN 'object'
                    THEN tree.metadata - 'events' ELSE '{}' END
                || jsonb_strip_nulls(jsonb_build_object(
                    'span_id', regexp_replace(replace(tree.span_id::text, '-', ''), '^0{16}', ''),
                    'parent_span_id',
                        regexp_replace(replace(tree.parent_span_id::text, '-', ''), '^0{16}', ''),
                    'status', tree.status, 'execution_id', tree.execution_id,
                    'job_id', tree.job_id, 'model_id', tree.model_id, 'region', tree.region,
                    'error.type', tree.error_type, 'error.message', tree.error_message)),
            'events', CASE jsonb_typeof(tree.metadata -> 'events')
                WHEN 'array' THEN tree.metadata -> 'events' ELSE '[]' END)
        ORDER BY wanted.n, tree.service, tree.started_at, tree.row_order)
    INTO v_spans
    FROM unnest(p_trace_ids) WITH ORDINALITY AS wanted (id, n)
    CROSS JOIN LATERAL trace_tree(NULL, wanted.id) AS tree;

    -- A stack of the slices that are open on the track: the innermost contains the new one or the new
    -- one is asynchronous.
    FOR v_span IN
        SELECT *, start_ns + length_ns AS end_ns, n || ' ' || service AS track
        FROM jsonb_to_recordset(coalesce(v_spans, '[]')) AS span (
            n bigint, "row" integer, last integer, service text, start_ns numeric,
            length_ns numeric)
        ORDER BY n, service, start_ns, "row"
    LOOP
        IF v_span.track <> v_track THEN
            v_track := v_span.track;
            v_depth := 0;
        END IF;
        WHILE v_depth > 0 AND v_ends[v_depth] <= v_span.start_ns AND NOT (
            v_ends[v_depth] = v_span.end_ns
            AND v_span."row" BETWEEN v_rows[v_depth] AND v_lasts[v_depth]) LOOP
            v_depth := v_depth - 1;
        END LOOP;
        IF v_depth = 0 OR (
            v_span."row" BETWEEN v_rows[v_depth] AND v_lasts[v_depth]
            AND v_span.end_ns <= v_ends[v_depth]) THEN
            v_depth := v_depth + 1;
            v_ends[v_depth] := v_span.end_ns;
            v_rows[v_depth] := v_span."row";
            v_lasts[v_depth] := v_span.last;
        ELSE
            v_async := v_async || (v_span.n || ' ' || v_span."row");
        END IF;
    END LOOP;

    RETURN jsonb_build_object('displayTimeUnit', 'ms', 'traceEvents', coalesce((
        WITH spans AS MATERIALIZED (
            SELECT
                span.*, round(start_ns / 1000, 3) AS ts, round(length_ns / 1000, 3) AS dur,
                dense_rank() OVER (ORDER BY service) AS pid,
                async.key IS NOT NULL AS is_async
            FROM jsonb_to_recordset(coalesce(v_spans, '[]')) AS span (
                n bigint, "row" integer, service text, trace text, span text, name text,
                status text, start_ns numeric, length_ns numeric, args jsonb, events jsonb)
            LEFT JOIN unnest(v_async) AS async (key)
                ON async.key = span.n || ' ' || span."row"
        ),
        told AS (
            SELECT 0 AS kind, pid AS a, 0::bigint AS b, 0 AS c, jsonb_build_object(
                'ph', 'M', 'name', 'process_name', 'pid', pid, 'tid', 0,
                'args', jsonb_build_object('name', service)) AS event
            FROM spans GROUP BY pid, service
            UNION ALL
            SELECT 1, pid, n, 0, jsonb_build_object(
                'ph', 'M', 'name', 'thread_name', 'pid', pid, 'tid', n,
                'args', jsonb_build_object('name', 'trace ' || trace))
            FROM spans GROUP BY pid, n, trace
            UNION ALL
            SELECT 2, n, "row", 0, jsonb_build_object(
                'ph', 'X', 'name', name, 'cat', status, 'pid', pid, 'tid', n, 'ts', ts, 'dur', dur,
                'args', args)
            FROM spans WHERE NOT is_async
            UNION ALL
            SELECT 2, n, "row", 0, jsonb_build_object(
                'ph', 'b', 'name', name, 'cat', status, 'id', trace || ':' || span || ':' || "row",
                'pid', pid, 'tid', n, 'ts', ts, 'args', args)
            FROM spans WHERE is_async
            UNION ALL
            SELECT 2, n, "row", 2, jsonb_build_object(
                'ph', 'e', 'name', name, 'cat', status, 'id', trace || ':' || span || ':' || "row",
                'pid', pid, 'tid', n, 'ts', ts + dur)
            FROM spans WHERE is_async
            UNION ALL
            SELECT 2, n, "row", 1, jsonb_build_object(
                'ph', 'i', 's', 't', 'name', coalesce(event.value ->> 'name', 'event'),
                'cat', 'event', 'pid', pid, 'tid', n,
                'ts', round((event.value ->> 'time_unix_nano')::numeric / 1000, 3),
                'args', coalesce(event.value -> 'attributes', '{}'))
            FROM spans
            CROSS JOIN LATERAL jsonb_array_elements(events) AS event
            WHERE jsonb_typeof(event.value -> 'time_unix_nano') = 'number'
        )
        SELECT jsonb_agg(event ORDER BY kind, a, b, c) FROM told), '[]'));
END
$$;

COMMENT ON FUNCTION trace_to_perfetto(uuid[]) IS
    'Traces in the Trace Event Format, which Perfetto opens: a process for each service, complete '
    'events where spans nest, asynchronous ones where they overlap.';

REVOKE ALL ON FUNCTION trace_to_perfetto(uuid[]) FROM PUBLIC;
