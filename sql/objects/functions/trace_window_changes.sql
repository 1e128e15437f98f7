-- What became different between two windows of time, measure by measure:
--
--   self_time   an operation's own time: its duration without its children's
--   call_gap    of a span whose only child belongs to another service, what the two durations
--               differ by: network, queues, and work on either side that no span covers. Named by
--               the callee; caller_service calls it
--   error_rate  an operation's spans that failed while none below them did
--   call_count  how often one operation calls another; named by the caller
--
-- A trace counts once a measure, by the mean of its logarithms: spans of one trace are no
-- independent samples. Times are compared by their medians, with spreads from quantiles, rates by
-- the arc sine, counts by the square root. What lies in both windows counts for the later one.
CREATE OR REPLACE FUNCTION trace_window_changes(
    p_from timestamptz,
    p_to timestamptz,
    p_baseline_from timestamptz,
    p_baseline_to timestamptz
)
RETURNS TABLE (
    change_kind text,
    service text,
    operation text,
    caller_service text,
    caller_operation text,
    called_service text,
    called_operation text,
    baseline_samples bigint,
    samples bigint,
    spans bigint,
    baseline_value numeric,
    value numeric,
    ratio numeric,
    z_score numeric,
    is_enough boolean,
    is_change boolean,
    time_share numeric,
    span_ids uuid[]
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET enable_nestloop = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_limits record;
BEGIN
    IF p_from >= p_to OR p_baseline_from >= p_baseline_to
        OR num_nulls(p_from, p_to, p_baseline_from, p_baseline_to) > 0
    THEN
        RAISE EXCEPTION 'each window needs a beginning and a later end'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_limits FROM trace_limits;
    -- Infinite ones have no length.
    p_from := greatest(p_from, '0001-01-01');
    p_baseline_from := greatest(p_baseline_from, '0001-01-01');
    p_to := least(p_to, '9999-12-31');
    p_baseline_to := least(p_baseline_to, '9999-12-31');

    RETURN QUERY
    WITH gathered AS MATERIALIZED (
        SELECT
            started_at >= p_from AND started_at < p_to AS is_late,
            trace_id, span_id, parent_span_id, service, operation, status,
            (extract(epoch FROM started_at - p_baseline_from) * 1000000)::bigint AS start_us,
            duration_ns / 1000 AS duration_us
        FROM trace_stored_spans
        WHERE started_at >= p_from AND started_at < p_to
           OR started_at >= p_baseline_from AND started_at < p_baseline_to
    ),
    -- Of several spans with one id one is the parent, and one counts.
    numbered AS MATERIALIZED (
        SELECT *, row_number() OVER () AS n
        FROM (
            SELECT DISTINCT ON (trace_id, span_id) *
            FROM gathered
            ORDER BY trace_id, span_id, start_us, duration_us
        ) AS once
    ),
    children AS MATERIALIZED (
        SELECT
            parent.n AS parent_n, child.service, child.operation, child.duration_us,
            child.service <> parent.service AS is_remote,
            child.status IN ('failed', 'timeout') AS has_failed,
            greatest(child.start_us, parent.start_us) AS start_us,
            least(child.start_us + coalesce(child.duration_us, 0),
                parent.start_us + parent.duration_us) AS end_us
        FROM numbered AS child
        JOIN numbered AS parent
            ON parent.trace_id = child.trace_id AND parent.span_id = child.parent_span_id
            AND parent.n <> child.n
    ),
    covered AS (
        SELECT
            *,
            greatest(end_us - greatest(start_us, max(end_us) OVER (
                PARTITION BY parent_n ORDER BY start_us, end_us
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)), 0) AS newly_us
        FROM children
    ),
    parents AS (
        SELECT
            parent_n, count(*) AS children, bool_and(is_remote) AS all_remote,
            bool_or(has_failed) AS any_failed, sum(newly_us) AS covered_us,
            min(service) AS service, min(operation) AS operation, min(duration_us) AS duration_us
        FROM covered
        GROUP BY parent_n
    ),
    spans AS MATERIALIZED (
        SELECT
            numbered.is_late, numbered.trace_id, numbered.span_id, numbered.status,
            numbered.service, numbered.operation,
            numbered.status IN ('failed', 'timeout') AND NOT coalesce(parents.any_failed, false)
                AS is_origin,
            coalesce(parents.children = 1 AND parents.all_remote, false) AS is_call,
            parents.service AS called_service, parents.operation AS called_operation,
            greatest(numbered.duration_us - CASE
                WHEN parents.children = 1 AND parents.all_remote THEN parents.duration_us
                ELSE coalesce(parents.covered_us, 0)
            END, 0) AS own_us
        FROM numbered
        LEFT JOIN parents ON parents.parent_n = numbered.n
    ),
    trace_times AS (
        SELECT is_late, trace_id, sum(own_us) AS total_us FROM spans GROUP BY is_late, trace_id
    ),
    -- Of the time that a span took itself, or lost on the way to the only one that it called.
    by_trace AS (
        SELECT
            spans.is_late,
            CASE WHEN is_call THEN 'call_gap' ELSE 'self_time' END AS kind,
            CASE WHEN is_call THEN called_service ELSE service END AS service,
            CASE WHEN is_call THEN called_operation ELSE operation END AS operation,
            CASE WHEN is_call THEN service END AS caller_service,
            avg(ln((own_us + v_limits.window_least_us)::double precision)) AS log_us,
            count(*) AS spans,
            min(CASE WHEN is_call THEN operation END) AS caller_operation,
            min(trace_times.total_us) AS trace_us,
            (array_agg(span_id ORDER BY own_us DESC))[1] AS span_id
        FROM spans
        JOIN trace_times
            ON trace_times.trace_id = spans.trace_id AND trace_times.is_late = spans.is_late
        WHERE own_us IS NOT NULL AND status <> 'started'
        GROUP BY 1, 2, 3, 4, 5, spans.trace_id
    ),
    quantiles AS (
        SELECT
            is_late, kind, service, operation, caller_service, count(*) AS samples,
            min(caller_operation) AS caller_operation,
            sum(spans)::bigint AS spans, sum(trace_us) AS traces_us,
            percentile_cont(ARRAY[0.25, 0.5, 0.75, 0.9])
                WITHIN GROUP (ORDER BY log_us) AS log_us,
            (array_agg(span_id ORDER BY log_us DESC))[1:3] AS span_ids
        FROM by_trace
        GROUP BY is_late, kind, service, operation, caller_service
    ),
    spreads AS (
        SELECT
            *,
            -- A normal distribution's quantiles lie so far from its median.
            greatest((log_us[3] - log_us[1]) / 1.349, (log_us[4] - log_us[2]) / 1.2816, 0.1)
                AS spread
        FROM quantiles
    ),
    times AS (
        SELECT
            late.kind, late.service, late.operation, late.caller_service,
            late.caller_operation,
            early.samples AS baseline_samples, late.samples, late.spans, late.traces_us,
            (exp(early.log_us[2]) - v_limits.window_least_us) * 1000 AS baseline_value,
            (exp(late.log_us[2]) - v_limits.window_least_us) * 1000 AS value,
            exp(late.log_us[2] - early.log_us[2]) AS ratio,
            -- 1.253: a median's standard error in terms of a mean's.
            (late.log_us[2] - early.log_us[2]) / (1.253 * sqrt(
                early.spread ^ 2 / early.samples
                + greatest(late.spread, CASE WHEN late.samples < 5 THEN early.spread END) ^ 2
                    / late.samples
            )) AS z,
            late.span_ids
        FROM spreads AS late
        JOIN spreads AS early
            ON early.kind = late.kind AND early.service = late.service
            AND early.operation = late.operation
            AND coalesce(early.caller_service, '') = coalesce(late.caller_service, '')
        WHERE late.is_late AND NOT early.is_late
    ),
    outcomes AS (
        SELECT
            service, operation,
            count(*) FILTER (WHERE NOT is_late) AS early_spans,
            count(*) FILTER (WHERE is_late) AS late_spans,
            count(*) FILTER (WHERE NOT is_late AND is_origin) AS early_errors,
            count(*) FILTER (WHERE is_late AND is_origin) AS late_errors,
            (array_agg(span_id ORDER BY trace_id) FILTER (WHERE is_late AND is_origin))[1:3]
                AS span_ids
        FROM spans
        GROUP BY service, operation
    ),
    error_rates AS (
        SELECT
            *,
            early_errors::numeric / greatest(early_spans, 1) AS early_rate,
            late_errors::numeric / late_spans AS late_rate
        FROM outcomes
        WHERE late_errors > 0
    ),
    callers AS (
        SELECT is_late, service, operation, count(*) AS spans, count(DISTINCT trace_id) AS traces
        FROM spans GROUP BY is_late, service, operation
    ),
    calls AS (
        SELECT
            parent.is_late, parent.service, parent.operation,
            covered.service AS called_service, covered.operation AS called_operation,
            count(*) AS calls, (array_agg(parent.span_id ORDER BY parent.n))[1:3] AS span_ids
        FROM covered
        JOIN numbered AS parent ON parent.n = covered.parent_n
        GROUP BY 1, 2, 3, 4, 5
    ),
    edges AS (
        SELECT DISTINCT service, operation, called_service, called_operation FROM calls
    ),
    counts AS (
        SELECT
            edges.*, early_callers.traces AS early_traces, late_callers.traces AS late_traces,
            late_callers.spans AS late_spans,
            coalesce(early.calls, 0)::numeric / early_callers.spans AS early_rate,
            coalesce(late.calls, 0)::numeric / late_callers.spans AS late_rate,
            late.span_ids
        FROM edges
        JOIN callers AS early_callers
            ON NOT early_callers.is_late AND early_callers.service = edges.service
            AND early_callers.operation = edges.operation
        JOIN callers AS late_callers
            ON late_callers.is_late AND late_callers.service = edges.service
            AND late_callers.operation = edges.operation
        LEFT JOIN calls AS early
            ON NOT early.is_late AND early.service = edges.service
            AND early.operation = edges.operation
            AND early.called_service = edges.called_service
            AND early.called_operation = edges.called_operation
        LEFT JOIN calls AS late
            ON late.is_late AND late.service = edges.service
            AND late.operation = edges.operation
            AND late.called_service = edges.called_service
            AND late.called_operation = edges.called_operation
    ),
    measured AS (
        SELECT
            kind, service, operation, caller_service, caller_operation,
            NULL::text AS called_service,
            NULL::text AS called_operation, baseline_samples, samples, spans, baseline_value,
            value, ratio, z,
            baseline_samples >= v_limits.minimum_samples
                AND samples >= v_limits.window_minimum_samples AS is_enough,
            value - baseline_value > v_limits.window_rise_ns
                AND ratio > v_limits.window_ratio::double precision
                AND z > v_limits.window_z::double precision
                AND time_share > v_limits.window_share::double precision AS is_different,
            time_share, span_ids
        FROM times
        CROSS JOIN LATERAL (
            SELECT (value - baseline_value) * spans / 1000 / greatest(traces_us, 1) AS time_share
        ) AS share
        UNION ALL
        SELECT
            'error_rate', service, operation, NULL, NULL, NULL, NULL, early_spans, late_spans,
            late_spans, early_rate, late_rate,
            CASE WHEN early_rate > 0 THEN late_rate / early_rate END,
            2 * (asin(sqrt(late_rate)) - asin(sqrt(early_rate)))
                / sqrt(1.0 / greatest(early_spans, 1) + 1.0 / late_spans),
            early_spans >= v_limits.minimum_samples
                AND late_spans >= v_limits.window_minimum_samples,
            2 * (asin(sqrt(late_rate)) - asin(sqrt(early_rate)))
                / sqrt(1.0 / greatest(early_spans, 1) + 1.0 / late_spans)
                > v_limits.window_error_z,
            NULL, span_ids
        FROM error_rates
        UNION ALL
        SELECT
            'call_count', service, operation, NULL, NULL, called_service, called_operation,
            early_traces, late_traces, late_spans, early_rate, late_rate,
            CASE WHEN early_rate > 0 THEN late_rate / early_rate END,
            2 * (sqrt(late_rate) - sqrt(early_rate)) / sqrt(1.0 / early_traces + 1.0 / late_traces),
            early_traces >= v_limits.minimum_samples
                AND late_traces >= v_limits.window_minimum_samples,
            abs(2 * (sqrt(late_rate) - sqrt(early_rate))
                / sqrt(1.0 / early_traces + 1.0 / late_traces)) > v_limits.window_count_z
                AND (late_rate > early_rate * 2 OR late_rate < early_rate / 2),
            NULL, span_ids
        FROM counts
    )
    SELECT
        kind, service, operation, caller_service, caller_operation, called_service,
        called_operation, baseline_samples, samples, spans,
        round(baseline_value::numeric, 4), round(value::numeric, 4), round(ratio::numeric, 3),
        round(z::numeric, 2), is_enough, is_enough AND is_different,
        round(time_share::numeric, 4), span_ids
    FROM measured
    ORDER BY is_enough AND is_different DESC, abs(z) DESC, kind, service, operation,
        caller_service, called_service, called_operation;
END
$$;

COMMENT ON FUNCTION trace_window_changes(timestamptz, timestamptz, timestamptz, timestamptz) IS
    'Measures of operations in a window of time beside those of a baseline window: own time, time '
    'lost between caller and callee, errors, calls; values in nanoseconds, as rates or as calls '
    'per caller, with sample sizes. time_share: the rise as a share of its traces'' time; '
    'is_enough: enough samples to tell; is_change: it differs.';

REVOKE ALL ON FUNCTION trace_window_changes(timestamptz, timestamptz, timestamptz, timestamptz)
    FROM PUBLIC;
