-- What an error's text says by trace_error_patterns: connection, timeout, modal, the
-- root cause type of another pattern, or NULL.
CREATE OR REPLACE FUNCTION trace_message_kind(p_message text)
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
    FROM trace_match_error('message', p_message)
$$;

COMMENT ON FUNCTION trace_message_kind(text) IS
    'Class of an error''s text by trace_error_patterns: connection, timeout (only where it says '
    'that one happened), modal, the type of a pattern of yours, or NULL.';

REVOKE ALL ON FUNCTION trace_message_kind(text) FROM PUBLIC;
