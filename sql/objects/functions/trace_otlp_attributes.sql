-- Attributes as OTLP has them: [{"key", "value"}], the values by trace_otlp_value.
CREATE OR REPLACE FUNCTION trace_otlp_attributes(p_attributes jsonb)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN coalesce((
        SELECT jsonb_agg(
            jsonb_build_object('key', key, 'value', trace_otlp_value(value)) ORDER BY key)
        FROM jsonb_each(CASE jsonb_typeof(p_attributes) WHEN 'object' THEN p_attributes END)
    ), '[]');
END
$$;

COMMENT ON FUNCTION trace_otlp_attributes(jsonb) IS
    'A JSON object as a list of keys and AnyValues, as OTLP has attributes.';

REVOKE ALL ON FUNCTION trace_otlp_attributes(jsonb) FROM PUBLIC;
