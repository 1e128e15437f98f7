-- A span's attributes for a file, from which spanring import makes the same row again.
--
-- Columns become attributes of the names that others know (error.type), or, where the span has an
-- attribute of that name already, the same behind "spanring.". What cannot be told from those is added:
--   spanring.status    the status, where a reader would guess another
--   spanring.added     the names of attributes that are columns, by comma
--   spanring.ended     false where no end was seen and the format cannot say so
--   spanring.metadata  all of the metadata as JSON, where the format has no place for a part of it
CREATE OR REPLACE FUNCTION trace_export_attributes(
    p_format text,
    p_status text,
    p_has_end boolean,
    p_is_odd boolean,
    p_execution_id bigint,
    p_job_id text,
    p_model_id text,
    p_region text,
    p_error_type text,
    p_error_message text,
    p_metadata jsonb
)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    c_context CONSTANT text[] := ARRAY['execution_id', 'job_id', 'model_id', 'region'];
    c_own CONSTANT text[] := ARRAY[
        'spanring.status', 'spanring.added', 'spanring.ended', 'spanring.metadata',
        'spanring.execution_id', 'spanring.job_id', 'spanring.model_id', 'spanring.region',
        'spanring.error.type', 'spanring.error.message'];
    -- What makes a reader guess.
    c_telling CONSTANT text[] := c_own || c_context || ARRAY[
        'error', 'error.type', 'error.kind', 'error.message', 'exception.type',
        'otel.status_code', 'rpc.grpc.status_code', 'grpc.status_code', 'rpc.response.status_code'];
    v_metadata jsonb := CASE jsonb_typeof(p_metadata) WHEN 'object' THEN p_metadata ELSE '{}' END;
    v_columns jsonb := jsonb_strip_nulls(jsonb_build_object(
        'execution_id', p_execution_id, 'job_id', p_job_id, 'model_id', p_model_id,
        'region', p_region, 'error', CASE WHEN p_status IN ('failed', 'timeout') THEN true END,
        'error.type', p_error_type, 'error.message', p_error_message));
    v_resource jsonb := v_metadata -> 'resource';
    v_scope jsonb := v_metadata -> 'scope';
    v_own jsonb := '{}';
    v_is_whole boolean := NOT p_is_odd;
BEGIN
    -- Whether the format carries the metadata as they are.
    IF p_metadata IS NULL THEN
        NULL; -- What is odd stays so.
    ELSIF NOT v_is_whole OR jsonb_typeof(p_metadata) <> 'object' OR p_metadata = '{}'
        OR p_metadata ?| c_own OR p_metadata ? 'jaeger.warnings'
        OR p_metadata::text LIKE '%"": %' OR p_metadata::text ~ '[0-9.]{17}' AND EXISTS (
            -- Neither 64 bits nor a double hold it.
            SELECT FROM jsonb_path_query(p_metadata, '$.** ? (@.type() == "number")') AS part (value)
            WHERE length(value::text) > 16
              AND (value::numeric % 1 <> 0 OR abs(value::numeric) >= 9223372036854775807)
        ) THEN
        v_is_whole := false;
    ELSE
        IF v_metadata ? 'span.kind' THEN
            v_is_whole := coalesce(
                jsonb_typeof(v_metadata -> 'span.kind') = 'string'
                AND v_metadata ->> 'span.kind' IN (
                    'internal', 'server', 'client', 'producer', 'consumer'), false);
        END IF;
        IF v_metadata ? 'resource' THEN
            v_is_whole := v_is_whole AND jsonb_typeof(v_resource) = 'object'
                AND v_resource <> '{}' AND NOT v_resource ?| c_own
                AND NOT v_resource ?| c_context AND NOT v_resource ? 'service.name';
        END IF;
        IF v_is_whole AND v_metadata ? 'events' THEN
            v_is_whole := jsonb_typeof(v_metadata -> 'events') = 'array'
                AND v_metadata -> 'events' <> '[]'
                AND NOT EXISTS (
                    SELECT FROM jsonb_array_elements(v_metadata -> 'events') AS event (value)
                    WHERE jsonb_typeof(value) <> 'object'
                       OR jsonb_typeof(value -> 'name') IS DISTINCT FROM 'string'
                       OR value ->> 'name' = '' OR lower(value ->> 'name') = 'error'
                       OR jsonb_typeof(value -> 'time_unix_nano') IS DISTINCT FROM 'number'
                       OR coalesce(value ->> 'time_unix_nano', '') !~ '^[0-9]{1,18}[0-9]?$'
                       OR value ? 'attributes' AND (
                           jsonb_typeof(value -> 'attributes') <> 'object'
                           OR value -> 'attributes' = '{}' OR value -> 'attributes' ? 'event')
                       OR value - ARRAY['name', 'time_unix_nano', 'attributes'] <> '{}');
        END IF;
        IF v_is_whole AND p_format = 'jaeger' THEN
            v_is_whole := NOT v_metadata ?| ARRAY['links', 'scope']
                AND NOT EXISTS (
                    SELECT FROM (
                        SELECT value FROM jsonb_each(v_metadata - ARRAY['events', 'resource'])
                        UNION ALL
                        SELECT value FROM jsonb_each(coalesce(v_resource, '{}'))
                        UNION ALL
                        SELECT field.value
                        FROM jsonb_array_elements(coalesce(v_metadata -> 'events', '[]')) AS event
                        CROSS JOIN jsonb_each(coalesce(event.value -> 'attributes', '{}')) AS field
                    ) AS told (value)
                    WHERE jsonb_typeof(value) IN ('object', 'array', 'null'));
        ELSIF v_is_whole AND p_format = 'otlp' THEN
            IF v_metadata ? 'scope' THEN
                v_is_whole := coalesce(
                    jsonb_typeof(v_scope) = 'object' AND v_scope <> '{}'
                    AND jsonb_typeof(coalesce(v_scope -> 'name', '"x"')) = 'string'
                    AND jsonb_typeof(coalesce(v_scope -> 'version', '"x"')) = 'string'
                    AND v_scope ->> 'name' IS DISTINCT FROM ''
                    AND v_scope ->> 'version' IS DISTINCT FROM '', false);
            END IF;
            IF v_is_whole AND v_metadata ? 'links' THEN
                v_is_whole := jsonb_typeof(v_metadata -> 'links') = 'array'
                    AND v_metadata -> 'links' <> '[]'
                    AND NOT EXISTS (
                        SELECT FROM jsonb_array_elements(v_metadata -> 'links') AS link (value)
                        WHERE jsonb_typeof(value) <> 'object'
                           OR value ->> 'trace_id' !~ '^[0-9a-f]{32}$'
                           OR value ->> 'span_id' !~ '^[0-9a-f]{16}$'
                           OR NOT value ?& ARRAY['trace_id', 'span_id']
                           OR value ? 'attributes' AND (
                               jsonb_typeof(value -> 'attributes') <> 'object'
                               OR value -> 'attributes' = '{}')
                           OR value - ARRAY['trace_id', 'span_id', 'attributes'] <> '{}');
            END IF;
        END IF;
    END IF;

    IF p_status <> 'completed' OR NOT p_has_end OR NOT v_is_whole OR v_metadata ?| c_telling
        OR p_error_type IS NOT NULL OR p_error_message IS NOT NULL THEN
        v_own := jsonb_strip_nulls(jsonb_build_object(
            'spanring.status', p_status,
            'spanring.added', (
                SELECT string_agg(name, ',' ORDER BY name)
                FROM jsonb_object_keys(v_columns) AS name WHERE NOT v_metadata ? name),
            'spanring.ended', CASE WHEN NOT p_has_end AND p_format = 'jaeger' THEN false END,
            'spanring.metadata',
                CASE WHEN NOT v_is_whole THEN coalesce(p_metadata, 'null')::text END))
            || coalesce((
                SELECT jsonb_object_agg('spanring.' || name, value)
                FROM jsonb_each(v_columns) AS told (name, value)
                WHERE v_metadata ? name AND name <> 'error'), '{}');
    END IF;
    RETURN v_columns || (v_metadata - ARRAY['events', 'links', 'resource'] - c_own) || v_own;
END
$$;

COMMENT ON FUNCTION trace_export_attributes(
    text, text, boolean, boolean, bigint, text, text, text, text, text, jsonb
) IS
    'A span''s columns and metadata as the attributes of a file (jaeger or otlp), with what spanring '
    'import needs to make the same row of them; events, links and resource have their own places.';

REVOKE ALL ON FUNCTION trace_export_attributes(
    text, text, boolean, boolean, bigint, text, text, text, text, text, jsonb
) FROM PUBLIC;
