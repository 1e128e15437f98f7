-- What an error's type or code says, whatever its case: connection, timeout, modal, or NULL. For
-- its text see trace_message_kind.
-- Connection errors go first, since many of them say "timed out" as well.
CREATE OR REPLACE FUNCTION trace_error_kind(p_error text)
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
    SELECT CASE
        WHEN p_error ~* (
            '\m(econn(refused|reset|aborted)|e(host|net)unreach|etimedout)'
            || '|\m(epipe|enotfound|eai_again)'
            || '|connect(ion)?[ _-]?(was )?(refused|reset|aborted|closed|failed|failure|error|lost)'
            || '|connect(ion)?[ _-]?(timeout|timed[ _-]?out)'
            || '|(could not|cannot|can''t|failed to|unable to) connect'
            || '|no route to host|(host|network) (is )?unreachable|broken pipe|socket hang ?up'
            || '|server closed the connection|remote end closed'
            || '|no such host|name or service not known|could ?n[o'']t resolve|could not resolve'
            || '|name resolution|getaddrinfo|\mdns\M'
        ) THEN 'connection'
        WHEN p_error ~* 'time[_-]?out|\mtime out\M|timed[ _-]?out|deadline' THEN 'timeout'
        WHEN p_error ~* '\mmodal(\M|[ _.-]|function|execution|error|exception)' THEN 'modal'
    END
$$;

COMMENT ON FUNCTION trace_error_kind(text) IS
    'Class of an error type or code: connection, timeout, modal, or NULL.';

REVOKE ALL ON FUNCTION trace_error_kind(text) FROM PUBLIC;
