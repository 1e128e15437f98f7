-- A duration as a person reads it: "238.9 s" from a second on, "17.3 ms" below.
CREATE OR REPLACE FUNCTION trace_seconds(p_ns numeric)
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
    SELECT CASE
        WHEN abs(p_ns) >= 1e9 THEN round(p_ns / 1e9, 1) || ' s'
        ELSE round(p_ns / 1e6, 1) || ' ms'
    END
$$;

COMMENT ON FUNCTION trace_seconds(numeric) IS
    'A duration in nanoseconds as text: seconds from one second on, else milliseconds.';

REVOKE ALL ON FUNCTION trace_seconds(numeric) FROM PUBLIC;
