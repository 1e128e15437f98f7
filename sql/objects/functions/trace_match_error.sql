-- The row of trace_error_patterns that an error's type ('type') or text ('message') matches: of the
-- users' own the one of lowest priority, else of the built-in ones. No row: none does.
CREATE OR REPLACE FUNCTION trace_match_error(p_applies_to text, p_error text)
RETURNS TABLE (name text, root_cause_type text, recommendation text, is_built_in boolean)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    -- A long text is looked at as far as a regular expression remains quick.
    v_error text := left(p_error, 4000);
BEGIN
    IF v_error IS NULL OR v_error = '' THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT name, root_cause_type, recommendation, is_built_in
    FROM trace_error_patterns
    WHERE applies_to = p_applies_to AND v_error ~* regex
    ORDER BY is_built_in, priority, name
    LIMIT 1;
END
$$;

COMMENT ON FUNCTION trace_match_error(text, text) IS
    'The pattern that the type or the message of an error matches, your own before built-in ones.';

REVOKE ALL ON FUNCTION trace_match_error(text, text) FROM PUBLIC;
