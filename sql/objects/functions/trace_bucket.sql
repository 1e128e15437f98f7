-- The bucket of a duration in trace_rollups: i holds what is longer than g^(i - 1) ns and at most
-- g^i ns, with g = 1.01 / 0.99 and 0.0200... its logarithm (DDSketch, VLDB 2019). Writers compute
-- the same: src/pg/batch_summary.cc.
--
-- Runs inside trace_maintain as the owner: see trace_ensure_days for the qualified names.
CREATE OR REPLACE FUNCTION trace_bucket(p_duration_ns bigint)
RETURNS integer
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN pg_catalog.ceil(
        pg_catalog.ln(greatest(p_duration_ns, 1::bigint)::double precision)
        / 0.020000666706669435::double precision
    )::integer;
END
$$;

COMMENT ON FUNCTION trace_bucket(bigint) IS
    'Number of the histogram''s bucket for a duration in nanoseconds, 0 or more.';

REVOKE ALL ON FUNCTION trace_bucket(bigint) FROM PUBLIC;
