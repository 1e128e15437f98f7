-- A duration as a person reads it: "238.9 s", "17.3 ms", "2.2 us".
CREATE OR REPLACE FUNCTION trace_seconds(p_ns numeric)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN CASE
        WHEN abs(p_ns) >= 1e9 THEN round(p_ns / 1e9, 1) || ' s'
        WHEN abs(p_ns) >= 1e6 THEN round(p_ns / 1e6, 1) || ' ms'
        ELSE round(p_ns / 1e3, 1) || ' us'
    END;
END
$$;

COMMENT ON FUNCTION trace_seconds(numeric) IS
    'A duration in nanoseconds as text, in seconds, milliseconds or microseconds.';

REVOKE ALL ON FUNCTION trace_seconds(numeric) FROM PUBLIC;
