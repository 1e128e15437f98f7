-- JSON as OTLP's AnyValue: {"stringValue": ...}. A whole number is text there, as 64 bits are in
-- protobuf's JSON; one beyond them, or beyond a double, stays text.
-- https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/common/v1/common.proto
CREATE OR REPLACE FUNCTION trace_otlp_value(p_value jsonb)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    v_number numeric;
BEGIN
    CASE jsonb_typeof(p_value)
        WHEN 'string' THEN
            RETURN jsonb_build_object('stringValue', p_value);
        WHEN 'boolean' THEN
            RETURN jsonb_build_object('boolValue', p_value);
        WHEN 'number' THEN
            v_number := p_value::numeric;
            IF v_number % 1 = 0 AND v_number BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
                RETURN jsonb_build_object('intValue', v_number::bigint::text);
            ELSIF abs(v_number) < 1e308 THEN
                RETURN jsonb_build_object('doubleValue', p_value);
            END IF;
            RETURN jsonb_build_object('stringValue', v_number::text);
        WHEN 'array' THEN
            RETURN jsonb_build_object('arrayValue', jsonb_build_object('values', coalesce((
                SELECT jsonb_agg(trace_otlp_value(value) ORDER BY n)
                FROM jsonb_array_elements(p_value) WITH ORDINALITY AS part (value, n)), '[]')));
        WHEN 'object' THEN
            RETURN jsonb_build_object(
                'kvlistValue', jsonb_build_object('values', trace_otlp_attributes(p_value)));
        ELSE
            RETURN '{}';
    END CASE;
END
$$;

COMMENT ON FUNCTION trace_otlp_value(jsonb) IS 'A JSON value as an AnyValue of OTLP''s JSON.';

REVOKE ALL ON FUNCTION trace_otlp_value(jsonb) FROM PUBLIC;
