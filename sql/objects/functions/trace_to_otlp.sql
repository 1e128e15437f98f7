-- Traces as OTLP's JSON: {"resourceSpans": [...]}, one for each service, resource and scope, in the
-- order of the ids.
-- https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
--
-- Ids have 32 and 16 hex digits; a span's is the low half of the UUID, unless the high one is used.
-- A span that has not ended has no endTimeUnixNano.
CREATE OR REPLACE FUNCTION trace_to_otlp(p_trace_ids uuid[])
RETURNS jsonb
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    c_kinds CONSTANT text[] := ARRAY['internal', 'server', 'client', 'producer', 'consumer'];
BEGIN
    RETURN jsonb_build_object('resourceSpans', coalesce((
        WITH spans AS MATERIALIZED (
            SELECT
                wanted.n, tree.row_order, tree.service,
                CASE jsonb_typeof(tree.metadata -> 'resource')
                    WHEN 'object' THEN (tree.metadata -> 'resource') - 'service.name' ELSE '{}'
                END AS resource,
                CASE jsonb_typeof(tree.metadata -> 'scope')
                    WHEN 'object' THEN tree.metadata -> 'scope' ELSE '{}' END AS scope,
                jsonb_strip_nulls(jsonb_build_object(
                    'traceId', replace(tree.trace_id::text, '-', ''),
                    'spanId',
                        regexp_replace(replace(tree.span_id::text, '-', ''), '^0{16}', ''),
                    'parentSpanId',
                        regexp_replace(replace(tree.parent_span_id::text, '-', ''), '^0{16}', ''),
                    'name', tree.operation,
                    'kind', coalesce(
                        array_position(c_kinds, tree.metadata ->> 'span.kind'), 0),
                    'startTimeUnixNano',
                        (trace_unix_us(tree.started_at)::numeric * 1000)::text,
                    'endTimeUnixNano', CASE WHEN tree.status <> 'started' THEN
                        (trace_unix_us(tree.started_at)::numeric * 1000 + tree.duration_ns)::text
                    END,
                    'status', CASE WHEN tree.status IN ('failed', 'timeout') THEN
                        jsonb_build_object(
                            'code', 2, 'message',
                            coalesce(tree.error_message, tree.error_type, tree.status))
                        ELSE '{}' END))
                || jsonb_build_object(
                    'attributes', trace_otlp_attributes(
                        told.attributes - CASE
                            WHEN NOT told.attributes ? 'spanring.metadata'
                                OR jsonb_typeof(told.attributes -> 'scope') = 'object'
                                THEN ARRAY['scope'] ELSE '{}' END
                            - CASE WHEN tree.metadata ->> 'span.kind' = ANY (c_kinds)
                                THEN ARRAY['span.kind'] ELSE '{}' END),
                    'events', coalesce((
                        SELECT jsonb_agg(
                            jsonb_strip_nulls(jsonb_build_object(
                                'timeUnixNano', coalesce(
                                    event.value ->> 'time_unix_nano',
                                    (trace_unix_us(tree.started_at)::numeric * 1000)::text),
                                'name', event.value ->> 'name'))
                            || jsonb_build_object(
                                'attributes', trace_otlp_attributes(event.value -> 'attributes'))
                            ORDER BY event.n)
                        FROM jsonb_array_elements(
                            CASE jsonb_typeof(tree.metadata -> 'events')
                                WHEN 'array' THEN tree.metadata -> 'events' ELSE '[]' END
                        ) WITH ORDINALITY AS event (value, n)
                        WHERE jsonb_typeof(event.value) = 'object'), '[]'),
                    'links', coalesce((
                        SELECT jsonb_agg(
                            jsonb_build_object(
                                'traceId', link.value ->> 'trace_id',
                                'spanId', link.value ->> 'span_id',
                                'attributes', trace_otlp_attributes(link.value -> 'attributes'))
                            ORDER BY link.n)
                        FROM jsonb_array_elements(
                            CASE jsonb_typeof(tree.metadata -> 'links')
                                WHEN 'array' THEN tree.metadata -> 'links' ELSE '[]' END
                        ) WITH ORDINALITY AS link (value, n)
                        WHERE jsonb_typeof(link.value) = 'object'
                          AND link.value ?& ARRAY['trace_id', 'span_id']), '[]')) AS told
            FROM unnest(p_trace_ids) WITH ORDINALITY AS wanted (id, n)
            CROSS JOIN LATERAL trace_tree(NULL, wanted.id) AS tree
            CROSS JOIN LATERAL trace_export_attributes(
                'otlp', tree.status,
                tree.status = 'started' OR tree.duration_ns IS NOT NULL, false, tree.execution_id,
                tree.job_id, tree.model_id, tree.region, tree.error_type, tree.error_message,
                tree.metadata) AS told (attributes)
        ),
        grouped AS (
            SELECT
                n, service, resource, scope, min(row_order) AS first_row,
                jsonb_agg(told ORDER BY row_order) AS spans
            FROM spans
            GROUP BY n, service, resource, scope
        )
        SELECT jsonb_agg(
            jsonb_build_object(
                'resource', jsonb_build_object('attributes', trace_otlp_attributes(
                    resource || jsonb_build_object('service.name', service))),
                'scopeSpans', jsonb_build_array(jsonb_build_object(
                    'scope', jsonb_strip_nulls(jsonb_build_object(
                        'name', scope ->> 'name', 'version', scope ->> 'version'))
                        || CASE WHEN scope - ARRAY['name', 'version'] = '{}' THEN '{}'
                            ELSE jsonb_build_object('attributes', trace_otlp_attributes(
                                scope - ARRAY['name', 'version'])) END,
                    'spans', spans)))
            ORDER BY n, first_row)
        FROM grouped), '[]'));
END
$$;

COMMENT ON FUNCTION trace_to_otlp(uuid[]) IS
    'Traces as the JSON of OTLP: {resourceSpans}, with ids in hex and times in nanoseconds.';

REVOKE ALL ON FUNCTION trace_to_otlp(uuid[]) FROM PUBLIC;
