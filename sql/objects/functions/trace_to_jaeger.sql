-- Traces as Jaeger's query service gives them: [{"traceID", "spans", "processes", "warnings"}], in the
-- order of the ids; one that has no spans is left out.
-- https://github.com/jaegertracing/jaeger/blob/main/internal/uimodel/model.go
--
-- Ids have 32 and 16 hex digits; a span's is the low half of the UUID, unless the high one is used.
-- Times are microseconds: Jaeger has nothing finer. An open span lasts until now, with a warning.
CREATE OR REPLACE FUNCTION trace_to_jaeger(p_trace_ids uuid[])
RETURNS jsonb
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN coalesce((
        WITH spans AS MATERIALIZED (
            SELECT
                wanted.n, tree.*,
                replace(tree.trace_id::text, '-', '') AS trace_hex,
                regexp_replace(replace(tree.span_id::text, '-', ''), '^0{16}', '') AS span_hex,
                regexp_replace(replace(tree.parent_span_id::text, '-', ''), '^0{16}', '')
                    AS parent_hex,
                CASE jsonb_typeof(tree.metadata) WHEN 'object' THEN tree.metadata ELSE '{}' END
                    AS attributes,
                'p' || dense_rank() OVER (
                    PARTITION BY wanted.n ORDER BY tree.service, tree.metadata -> 'resource'
                ) AS process
            FROM unnest(p_trace_ids) WITH ORDINALITY AS wanted (id, n)
            CROSS JOIN LATERAL trace_tree(NULL, wanted.id) AS tree
        ),
        processes AS (
            SELECT
                n, process,
                jsonb_build_object(
                    'serviceName', service,
                    'tags', trace_jaeger_tags(attributes -> 'resource')) AS described
            FROM spans
            GROUP BY n, process, service, attributes -> 'resource'
        )
        SELECT jsonb_agg(
            jsonb_build_object(
                'traceID', traces.trace_hex,
                'spans', traces.spans,
                'processes', (
                    SELECT jsonb_object_agg(process, described)
                    FROM processes WHERE processes.n = traces.n),
                'warnings', NULL)
            ORDER BY traces.n)
        FROM (
            SELECT
                n, trace_hex,
                jsonb_agg(
                    jsonb_build_object(
                        'traceID', trace_hex,
                        'spanID', span_hex,
                        'operationName', operation,
                        'references',
                            CASE WHEN parent_hex IS NULL THEN '[]' ELSE
                                jsonb_build_array(jsonb_build_object(
                                    'refType', 'CHILD_OF', 'traceID', trace_hex,
                                    'spanID', parent_hex))
                            END
                            || coalesce((
                                SELECT jsonb_agg(jsonb_build_object(
                                    'refType', 'FOLLOWS_FROM',
                                    'traceID', link.value ->> 'trace_id',
                                    'spanID', link.value ->> 'span_id'))
                                FROM jsonb_array_elements(
                                    CASE jsonb_typeof(attributes -> 'links')
                                        WHEN 'array' THEN attributes -> 'links' ELSE '[]' END
                                ) AS link
                            ), '[]'),
                        'startTime', trace_unix_us(started_at),
                        'duration', CASE
                            WHEN status = 'started'
                                THEN greatest(trace_unix_us(now()) - trace_unix_us(started_at), 0)
                            ELSE coalesce(duration_ns, 0) / 1000
                        END,
                        'tags', trace_jaeger_tags(trace_export_attributes(
                            'jaeger', status, status <> 'started' AND duration_ns IS NOT NULL,
                            status = 'started' OR is_orphan, execution_id, job_id, model_id, region,
                            error_type, error_message, metadata)),
                        'logs', coalesce((
                            SELECT jsonb_agg(jsonb_build_object(
                                'timestamp', coalesce(
                                    CASE WHEN jsonb_typeof(event.value -> 'time_unix_nano') = 'number'
                                        THEN trunc(
                                            least(greatest(
                                                (event.value ->> 'time_unix_nano')::numeric,
                                                -9e18), 9e18) / 1000)::bigint
                                    END,
                                    trace_unix_us(started_at)),
                                'fields', trace_jaeger_tags(
                                    coalesce(event.value -> 'attributes', '{}')
                                    || jsonb_strip_nulls(jsonb_build_object(
                                        'event', event.value -> 'name')))))
                            FROM jsonb_array_elements(
                                CASE jsonb_typeof(attributes -> 'events')
                                    WHEN 'array' THEN attributes -> 'events' ELSE '[]' END
                            ) AS event
                            WHERE jsonb_typeof(event.value) = 'object'
                        ), '[]'),
                        'processID', process,
                        'flags', 1,
                        'warnings', CASE
                            WHEN status = 'started'
                                THEN jsonb_build_array('it has not ended; its duration is until now')
                            WHEN is_orphan
                                THEN jsonb_build_array('its parent is missing')
                        END)
                    ORDER BY row_order) AS spans
            FROM spans
            GROUP BY n, trace_hex
        ) AS traces
    ), '[]');
END
$$;

COMMENT ON FUNCTION trace_to_jaeger(uuid[]) IS
    'Traces as the JSON of Jaeger''s query service: a list of {traceID, spans, processes, warnings}; '
    'those without spans are left out.';

REVOKE ALL ON FUNCTION trace_to_jaeger(uuid[]) FROM PUBLIC;
