-- The duration that a bucket of trace_rollups stands for: within 1 % of all that are in it.
CREATE OR REPLACE FUNCTION trace_bucket_ns(p_bucket integer)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN exp(p_bucket * 0.020000666706669435) * 0.99;
END
$$;

COMMENT ON FUNCTION trace_bucket_ns(integer) IS
    'Nanoseconds that a histogram''s bucket stands for, with a relative error of 1 %.';

REVOKE ALL ON FUNCTION trace_bucket_ns(integer) FROM PUBLIC;
