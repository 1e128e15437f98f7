-- Microseconds since 1970, as other systems count time; the first or last that they can tell where a
-- time is infinite.
CREATE OR REPLACE FUNCTION trace_unix_us(p_time timestamptz)
RETURNS bigint
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
BEGIN
    -- PostgreSQL 13 counts seconds in floating point.
    RETURN CASE
        WHEN isfinite(p_time)
            THEN least(greatest(round(extract(epoch FROM p_time) * 1e6), -9.2e15), 9.2e15)
        WHEN p_time > 'epoch' THEN 9.2e15
        WHEN p_time < 'epoch' THEN -9.2e15
    END::bigint;
END
$$;

COMMENT ON FUNCTION trace_unix_us(timestamptz) IS
    'A time as microseconds since 1970, within 292 years of it.';

REVOKE ALL ON FUNCTION trace_unix_us(timestamptz) FROM PUBLIC;
