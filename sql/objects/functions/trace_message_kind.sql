-- What an error's text says: connection, timeout, modal, or NULL. As trace_error_kind, but a text
-- may mention a timeout where none happened ("invalid timeout parameter"), so that those words
-- count only in phrases which say that it did.
CREATE OR REPLACE FUNCTION trace_message_kind(p_message text)
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
    SELECT trace_error_kind(
        CASE
            WHEN p_message ~* (
                'timed[ _-]?out|context deadline'
                -- "timeout of 5000ms exceeded", "deadline has passed", "DeadlineExceeded"
                || '|(time[ _-]?out|deadline)'
                || '(\W+(of|limit|period|was|has|had|been|is|[0-9.,]+ ?[a-z]*))*'
                || '[\W_]*(exceeded|expired|elapsed|reached|passed)\M'
                || '|\m(exceeded|missed)( the| its)? (time[ _-]?out|deadline)'
                || '|time[ _-]?out[ _-]?(error|exception)\M'
                -- "i/o timeout", "timeout after 5 s", "timeout waiting for a lock"
                || '|(?<!\m(invalid|bad|missing|unknown|no)\s)\m(\w+_)?time[ _-]?out'
                || '(\W*$|\s+(after|occurred|awaiting|waiting)\M)'
            ) THEN p_message
            ELSE regexp_replace(p_message, 'time[ _-]?out|deadline', '...', 'gi')
        END
    )
$$;

COMMENT ON FUNCTION trace_message_kind(text) IS
    'Class of an error''s text: connection, timeout (only where it says that one happened), modal, '
    'or NULL.';

REVOKE ALL ON FUNCTION trace_message_kind(text) FROM PUBLIC;
