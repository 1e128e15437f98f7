-- What an error's type or code says by trace_error_patterns: connection, timeout, modal, the
-- root cause type of another pattern, or NULL.
CREATE OR REPLACE FUNCTION trace_error_kind(p_error text)
RETURNS text
LANGUAGE sql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
    SELECT CASE root_cause_type
        WHEN 'CONNECTION_FAILURE' THEN 'connection'
        WHEN 'SERVICE_TIMEOUT' THEN 'timeout'
        WHEN 'MODAL_EXECUTION_FAILURE' THEN 'modal'
        ELSE root_cause_type
    END
    FROM trace_match_error('type', p_error)
$$;

COMMENT ON FUNCTION trace_error_kind(text) IS
    'Class of an error type or code by trace_error_patterns: connection, timeout, modal, the type '
    'of a pattern of yours, or NULL.';

REVOKE ALL ON FUNCTION trace_error_kind(text) FROM PUBLIC;
