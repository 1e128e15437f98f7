-- What an error's type or text says about its cause, as rows: users add their own.

CREATE TABLE trace_error_patterns (
    priority        integer NOT NULL DEFAULT 100,
    is_built_in     boolean NOT NULL DEFAULT false,
    name            text    NOT NULL CONSTRAINT trace_error_patterns_pkey PRIMARY KEY,
    applies_to      text    NOT NULL,
    regex           text    NOT NULL,
    root_cause_type text    NOT NULL,
    recommendation  text,
    CONSTRAINT trace_error_patterns_applies_to_check CHECK (applies_to IN ('type', 'message')),
    -- Compiles it: a regular expression that PostgreSQL refuses never gets in.
    CONSTRAINT trace_error_patterns_regex_check CHECK (('' ~* regex) IS NOT NULL),
    CONSTRAINT trace_error_patterns_root_cause_type_check
        CHECK (root_cause_type ~ '^[A-Z][A-Z0-9_]*$')
);

COMMENT ON TABLE trace_error_patterns IS
    'Which cause an error''s type or text stands for. Your own rows go before the built-in ones and '
    'are never touched; a row of yours with a built-in one''s name takes its place.';
COMMENT ON COLUMN trace_error_patterns.priority IS
    'Of several that match, of yours or else of the built-in ones, the lowest counts.';
COMMENT ON COLUMN trace_error_patterns.is_built_in IS
    'Kept up by the program at each upgrade; false for your own.';
COMMENT ON COLUMN trace_error_patterns.name IS 'Any name; it is said in the evidence.';
COMMENT ON COLUMN trace_error_patterns.applies_to IS 'error_type (type) or error_message (message).';
COMMENT ON COLUMN trace_error_patterns.regex IS
    'A regular expression of PostgreSQL, found anywhere in the text, in any case.';
COMMENT ON COLUMN trace_error_patterns.root_cause_type IS
    'What identify_root_cause says; any word in capitals.';
COMMENT ON COLUMN trace_error_patterns.recommendation IS
    'What to do; NULL for the one that belongs to the root cause type.';
