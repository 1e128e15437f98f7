-- The thresholds of every rule, in one place. A comparison is strict: what equals a threshold is
-- still normal.
CREATE OR REPLACE FUNCTION trace_limits(
    OUT slow_factor numeric,
    OUT minimum_samples integer,
    OUT gap_ns bigint,
    OUT network_gap_ns bigint,
    OUT degradation_ns bigint,
    OUT baseline_days_near integer,
    OUT baseline_days_far integer,
    OUT similar_candidates integer,
    OUT similar_spans integer,
    OUT writer_silent interval,
    OUT outlier_samples integer,
    OUT outlier_effect numeric,
    OUT outlier_factor numeric
)
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
    SELECT
        3::numeric,           -- slower than this many times the average is an anomaly
        5,                    -- other executions' spans below which an average says nothing
        5000000000::bigint,   -- 5 s between services are an anomaly
        60000000000::bigint,  -- 60 s between services are a network timeout
        120000000000::bigint, -- 2 min in all, with nothing failed, are a degradation
        1,                    -- days around the execution whose history is looked at first,
        30,                   -- and where that is not enough
        60,                   -- executions compared by find_similar_traces, nearest ids first,
        20000,                -- as long as they have no more spans than this in all
        interval '1 hour',    -- a writer of open spans not seen for so long is worth a word
        20,                   -- samples below which quantiles say nothing of what is rare
        3.5,                  -- an outlier is so many spreads above the median,
        1.5                   -- and longer than so many times the median
$$;

COMMENT ON FUNCTION trace_limits() IS
    'The thresholds that diagnosis, root cause and similarity use, all in one row.';

REVOKE ALL ON FUNCTION trace_limits() FROM PUBLIC;
