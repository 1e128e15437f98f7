-- Brings the built-in rows of trace_error_patterns up to this version. Rows of users stay as they
-- are, also one that has taken a built-in one's name. Rerunnable; upgrades call it.
--
-- Connection errors go first, since many of them say "timed out" as well. A type or code is no
-- sentence: "TimeoutParameter" is a timeout there. A text may mention a timeout where none
-- happened ("invalid timeout parameter"), so that there only phrases count which say that it did.
CREATE OR REPLACE FUNCTION trace_maintain_error_patterns()
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    c_connection CONSTANT text :=
        '\m(econn(refused|reset|aborted)|e(host|net)unreach|etimedout)'
        || '|\m(epipe|enotfound|eai_again)'
        || '|connect(ion)?[ _-]?(was )?(refused|reset|aborted|closed|failed|failure|error|lost)'
        || '|connect(ion)?[ _-]?timed[ _-]?out'
        || '|(could not|cannot|can''t|failed to|unable to) connect'
        || '|no route to host|(host|network) (is )?unreachable|broken pipe|socket hang ?up'
        || '|server closed the connection|remote end closed|peer closed connection'
        || '|incomplete ?read|server ?disconnected|chunked ?encoding ?error'
        || '|\mhttpx\.(read|write|remoteprotocol)error'
        || '|no such host|name or service not known|could ?n[o'']t resolve|could not resolve'
        || '|name resolution|getaddrinfo|\mdns\M';
    -- "timeout of 5000ms exceeded", "deadline has passed", "DeadlineExceeded"
    c_exceeded CONSTANT text :=
        '(\W+(of|limit|period|was|has|had|been|is|[0-9.,]+ ?[a-z]*))*'
        || '(\W|_)*(exceeded|expired|elapsed|reached|passed)\M';
    -- "i/o timeout", "timeout after 5 s", "timeout waiting for a lock"
    c_happened CONSTANT text := '(\W*$|\s+(after|occurred|awaiting|waiting)\M)';
    c_connect_timeout CONSTANT text :=
        '(?<!\m(invalid|bad|missing|unknown|no)\s)connect(ion)?[ _-]?time[ _-]?out';
    c_modal CONSTANT text := '\mmodal(\M|[ _.-]|function|execution|error|exception)';
    v_names text[];
BEGIN
    WITH patterns (name, priority, applies_to, regex, root_cause_type) AS (
        VALUES
            ('connection type', 10, 'type',
                c_connection || '|connect(ion)?[ _-]?timeout', 'CONNECTION_FAILURE'),
            ('timeout type', 20, 'type',
                'time[_-]?out|\mtime out\M|timed[ _-]?out|deadline', 'SERVICE_TIMEOUT'),
            ('modal type', 30, 'type', c_modal, 'MODAL_EXECUTION_FAILURE'),
            ('connection message', 10, 'message', c_connection, 'CONNECTION_FAILURE'),
            ('connect timeout message', 11, 'message',
                c_connect_timeout || '(' || c_happened || '|' || c_exceeded || ')',
                'CONNECTION_FAILURE'),
            ('timeout message', 20, 'message',
                'timed[ _-]?out|context deadline'
                || '|(time[ _-]?out|deadline)' || c_exceeded
                || '|\m(exceeded|missed)( the| its)? (time[ _-]?out|deadline)'
                || '|time[ _-]?out[ _-]?(error|exception)\M'
                || '|(?<!\m(invalid|bad|missing|unknown|no)\s)\m(\w+_)?time[ _-]?out'
                || c_happened,
                'SERVICE_TIMEOUT'),
            ('modal message', 30, 'message', c_modal, 'MODAL_EXECUTION_FAILURE')
    ),
    written AS (
        INSERT INTO trace_error_patterns AS present (
            name, priority, applies_to, regex, root_cause_type, is_built_in
        )
        SELECT name, priority, applies_to, regex, root_cause_type, true FROM patterns
        ON CONFLICT (name) DO UPDATE
        SET priority = excluded.priority, applies_to = excluded.applies_to,
            regex = excluded.regex, root_cause_type = excluded.root_cause_type,
            recommendation = NULL
        WHERE present.is_built_in
    )
    SELECT array_agg(name) INTO v_names FROM patterns;
    DELETE FROM trace_error_patterns WHERE is_built_in AND name <> ALL (v_names);
END
$$;

COMMENT ON FUNCTION trace_maintain_error_patterns() IS
    'Writes the built-in rows of trace_error_patterns as this version has them, and no others.';

REVOKE ALL ON FUNCTION trace_maintain_error_patterns() FROM PUBLIC;
