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
    OUT similar_pool integer,
    OUT similar_candidates integer,
    OUT similar_spans integer,
    OUT writer_silent interval,
    OUT outlier_samples integer,
    OUT outlier_effect numeric,
    OUT outlier_factor numeric,
    OUT window_minimum_samples integer,
    OUT window_least_us bigint,
    OUT window_rise_ns bigint,
    OUT window_ratio numeric,
    OUT window_share numeric,
    OUT window_z numeric,
    OUT window_error_z numeric,
    OUT window_count_z numeric,
    OUT retry_failures integer,
    OUT storm_calls integer,
    OUT dependency_share numeric,
    OUT order_positions integer,
    OUT origin_failures integer
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
        400,                  -- executions that find_similar_traces looks at, by nearest ids,
        60,                   -- and that it compares, the most alike by their summaries,
        20000,                -- as long as they have no more spans than this in all
        interval '1 hour',    -- a writer of open spans not seen for so long is worth a word
        20,                   -- samples below which quantiles say nothing of what is rare
        3.5,                  -- an outlier is so many spreads above the median,
        1.5::numeric,         -- and longer than so many times the median
        -- Windows: a change needs minimum_samples traces before, and after
        2,                    -- at least so many
        100::bigint,          -- us that are noise: added before the logarithm
        1000000::bigint,      -- a median must rise by more than 1 ms,
        1.5::numeric,         -- to more than this many times what it was,
        0.01::numeric,        -- adding more than this share to its traces' time,
        4::numeric,           -- by more than so many standard errors;
        3::numeric,           -- an error rate by more than so many,
        6::numeric,           -- and calls by more than so many, which traffic changes by itself
        -- Executions
        2,                    -- so many failures of one operation under one parent are retries,
        50,                   -- so many calls of one operation under one parent are many,
        0.5::numeric,         -- what takes more than this share of a span's time has eaten it
        64,                   -- spans of an execution whose order is compared, the first ones
        5000                  -- failed spans of a window whose traces are looked at, the first ones
$$;

COMMENT ON FUNCTION trace_limits() IS
    'The thresholds that diagnosis, root cause and similarity use, all in one row.';

REVOKE ALL ON FUNCTION trace_limits() FROM PUBLIC;
