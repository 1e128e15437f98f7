-- How a span is called in a sentence: service.operation, said once where the operation's name
-- begins with the service's already.
CREATE OR REPLACE FUNCTION trace_label(
    p_service text, p_operation text, p_span_id uuid DEFAULT NULL
)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN         CASE WHEN starts_with(p_operation, p_service || '.') THEN '' ELSE p_service || '.' END
        || p_operation
        || coalesce(' (span ' || right(replace(p_span_id::text, '-', ''), 16) || ')', '');
END
$$;

COMMENT ON FUNCTION trace_label(text, text, uuid) IS
    'service.operation, and with a span id the low 64 bits of it in hex behind.';

REVOKE ALL ON FUNCTION trace_label(text, text, uuid) FROM PUBLIC;
