-- Attributes as Jaeger's tags: [{"key", "type", "value"}]. What is neither text, number nor boolean is
-- told as its JSON text.
CREATE OR REPLACE FUNCTION trace_jaeger_tags(p_attributes jsonb)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN coalesce((
        SELECT jsonb_agg(
            jsonb_build_object(
                'key', tag.key,
                'type', CASE
                    WHEN jsonb_typeof(tag.value) = 'boolean' THEN 'bool'
                    WHEN jsonb_typeof(tag.value) <> 'number' THEN 'string'
                    WHEN tag.value::numeric % 1 = 0
                        AND abs(tag.value::numeric) < 9223372036854775808 THEN 'int64'
                    ELSE 'float64'
                END,
                'value', CASE
                    WHEN jsonb_typeof(tag.value) IN ('boolean', 'number', 'string') THEN tag.value
                    ELSE to_jsonb(tag.value::text)
                END)
            ORDER BY tag.key)
        FROM jsonb_each(CASE jsonb_typeof(p_attributes) WHEN 'object' THEN p_attributes END) AS tag
    ), '[]');
END
$$;

COMMENT ON FUNCTION trace_jaeger_tags(jsonb) IS
    'A JSON object as a list of tags with their types, as Jaeger has them.';

REVOKE ALL ON FUNCTION trace_jaeger_tags(jsonb) FROM PUBLIC;
