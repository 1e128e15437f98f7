-- The thresholds of every rule, in one place. A comparison is strict: what equals a threshold is
-- still normal. A view, since it costs nothing where a function would be called.
CREATE OR REPLACE VIEW trace_limits AS
SELECT
    3::numeric AS slow_factor,              -- slower than this many times the average is an anomaly
    5 AS minimum_samples,                   -- other executions' spans below which an average says nothing
    5000000000::bigint AS gap_ns,           -- 5 s between services are an anomaly
    60000000000::bigint AS network_gap_ns,  -- 60 s between services are a network timeout
    120000000000::bigint AS degradation_ns, -- 2 min in all, with nothing failed, are a degradation
    1 AS baseline_days_near,                -- days around the execution whose history is looked at first,
    30 AS baseline_days_far,                -- and where that is not enough
    400 AS similar_pool,                    -- executions that find_similar_traces looks at, by nearest ids,
    60 AS similar_candidates,               -- and that it compares, the most alike by their summaries,
    20000 AS similar_spans,                 -- as long as they have no more spans than this in all
    interval '1 hour' AS writer_silent,     -- a writer of open spans not seen for so long is worth a word
    20 AS outlier_samples,                  -- samples below which quantiles say nothing of what is rare
    3.5 AS outlier_effect,                  -- an outlier is so many spreads above the median,
    1.5::numeric AS outlier_factor,         -- and longer than so many times the median
    -- Windows: a change needs minimum_samples traces before, and after
    2 AS window_minimum_samples,            -- at least so many
    100::bigint AS window_least_us,         -- us that are noise: added before the logarithm
    1000000::bigint AS window_rise_ns,      -- a median must rise by more than 1 ms,
    1.5::numeric AS window_ratio,           -- to more than this many times what it was,
    0.01::numeric AS window_share,          -- adding more than this share to its traces' time,
    4::numeric AS window_z,                 -- by more than so many standard errors;
    3::numeric AS window_error_z,           -- an error rate by more than so many,
    6::numeric AS window_count_z,           -- and calls by more than so many, which traffic changes by itself
    -- Executions
    2 AS retry_failures,                    -- so many failures of one operation under one parent are retries,
    50 AS storm_calls,                      -- so many calls of one operation under one parent are many,
    0.5::numeric AS dependency_share,       -- what takes more than this share of a span's time has eaten it
    64 AS order_positions,                  -- spans of an execution whose order is compared, the first ones
    5000 AS origin_failures                 -- failed spans of a window whose traces are looked at, the first ones
;

COMMENT ON VIEW trace_limits IS
    'The thresholds that diagnosis, root cause and similarity use, all in one row.';
