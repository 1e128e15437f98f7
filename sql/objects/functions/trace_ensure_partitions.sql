-- Makes the daily partitions of trace_spans from today (UTC) to p_days_ahead days later, and
-- returns how many it made.
CREATE OR REPLACE FUNCTION trace_ensure_partitions(p_days_ahead integer DEFAULT 7)
RETURNS integer
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    v_today date := (pg_catalog.now() AT TIME ZONE 'UTC')::date;
BEGIN
    IF p_days_ahead IS NULL OR p_days_ahead NOT BETWEEN 0 AND 366 THEN
        RAISE EXCEPTION 'p_days_ahead must lie between 0 and 366, not %', p_days_ahead
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN trace_ensure_days(ARRAY(
        SELECT v_today + ahead FROM pg_catalog.generate_series(0, p_days_ahead) AS ahead));
END
$$;

COMMENT ON FUNCTION trace_ensure_partitions(integer) IS
    'Makes the daily partitions from today (UTC) to that many days ahead, as trace_ensure_days() '
    'does, and returns how many were made.';

REVOKE ALL ON FUNCTION trace_ensure_partitions(integer) FROM PUBLIC;
