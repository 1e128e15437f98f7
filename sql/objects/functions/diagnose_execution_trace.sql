-- Each span of an execution, with what is unusual about it. A span can have several reasons.
--
--   slow      longer than 3 times the average of other executions' completed spans
--   gap       more than 5 s between services that no span covers; it stands at the span that ended
--             last before it, or, where nothing came before, at the span that it delays
--   failed    status failed or timeout
--   unended   status started: no end was ever seen
--   dropped   the writers of its spans lost others while it ran; said once, at the first row
--   partial   its trace is not sampled; said once, at the first row
--
-- Beside these stands a rule that an uneven or a very even history does not mislead. An outlier is
-- longer than 95 of 100 spans of other executions, than 1.5 times their median, and than 3.5 spreads
-- above it, all on a logarithmic scale: the spread is what lies between the median and the quantile
-- 0.9, in standard deviations. Its confidence is n / (n + 20) for the sample, times 1 - 1 / effect^2
-- (Chebyshev).
CREATE OR REPLACE FUNCTION diagnose_execution_trace(p_execution_id bigint)
RETURNS TABLE (
    service text,
    operation text,
    started_at timestamptz,
    completed_at timestamptz,
    duration_ms integer,
    gap_after_ms integer,
    status text,
    error_message text,
    is_anomaly boolean,
    anomaly_reason text,
    span_id uuid,
    trace_id uuid,
    depth integer,
    gap_before_ms integer,
    self_time_ms integer,
    baseline_ms numeric,
    baseline_samples bigint,
    baseline_note text,
    error_type text,
    spans_dropped bigint,
    is_outlier boolean,
    outlier_reason text,
    outlier_effect numeric,
    outlier_confidence numeric,
    median_ms numeric,
    p95_ms numeric
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET enable_nestloop = off
SET jit = off
-- Planning took longer than all else, and what is asked of differs little.
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_limits record;
BEGIN
    SELECT * INTO v_limits FROM trace_limits;
    RETURN QUERY
    WITH tree AS MATERIALIZED (
        SELECT
            row_order, depth, trace_id, span_id, service, operation, started_at, completed_at,
            duration_ms, status, metadata, error_message, duration_ns, error_type, self_time_ns,
            gap_before_ns, gap_before_row, tail_gap_ns, tail_gap_row, parent_row, created_at
        FROM trace_tree(p_execution_id)
    ),
    baselines AS MATERIALIZED (
        SELECT baselines.*
        FROM (
            SELECT
                array_agg(service) AS services,
                array_agg(operation) AS operations,
                array_agg(started_at) AS started_at,
                array_agg(created_at) AS created_at,
                array_agg(CASE status WHEN 'completed' THEN duration_ns END) AS completed_ns,
                min(started_at) AS around
            FROM tree
        ) AS own
        CROSS JOIN LATERAL trace_baselines(
            own.services, own.operations, own.started_at, own.created_at, own.completed_ns,
            own.around
        ) AS baselines
    ),
    -- A span opens at most one gap: what follows the last of several siblings to end.
    gaps_after AS (
        SELECT gap_before_row AS row_order, gap_before_ns AS gap_ns, row_order AS to_row,
            false AS is_tail
        FROM tree
        WHERE gap_before_row IS DISTINCT FROM parent_row
        UNION ALL
        SELECT tail_gap_row, tail_gap_ns, row_order, true FROM tree
    ),
    dropped AS MATERIALIZED (
        SELECT *
        FROM trace_dropped(
            ARRAY(SELECT DISTINCT created_at FROM tree),
            ARRAY(SELECT DISTINCT trace_id FROM tree WHERE status = 'started'),
            (SELECT min(started_at) FROM tree),
            (SELECT max(CASE status WHEN 'started' THEN now()
                 ELSE coalesce(completed_at, started_at) END) FROM tree)
        )
    ),
    -- As they are told, so that neither planning nor running takes the rules below apart and
    -- repeats them for each column that they are in.
    facts AS MATERIALIZED (
        SELECT
            tree.row_order, tree.depth, tree.trace_id, tree.span_id, tree.service, tree.operation,
            tree.started_at, tree.completed_at, tree.duration_ms, tree.status,
            tree.error_message, tree.duration_ns, tree.error_type, tree.self_time_ns,
            tree.gap_before_ns,
            CASE WHEN tree.gap_before_row = tree.parent_row THEN tree.gap_before_ns END AS lead_ns,
            above.service AS above_service,
            above.operation AS above_operation,
            coalesce(after.gap_ns, 0) AS after_ns,
            next.service AS next_service,
            next.operation AS next_operation,
            after.is_tail,
            baselines.baseline_ns,
            coalesce(baselines.baseline_samples, 0) AS samples,
            baselines.p50_ns,
            baselines.p95_ns,
            CASE WHEN baselines.baseline_samples >= v_limits.outlier_samples THEN
                -- 1.2816: the quantile 0.9 of the normal distribution. 0.02: the histogram's step.
                (ln(greatest(tree.duration_ns, 1)::double precision) - ln(baselines.p50_ns))
                / greatest((ln(baselines.p90_ns) - ln(baselines.p50_ns)) / 1.2816, 0.02)
            END AS effect,
            dropped.spans AS spans_dropped,
            dropped.by_reason AS dropped_by_reason,
            tree.row_order = 1 AND EXISTS (
                SELECT FROM tree WHERE metadata ->> 'spanring.sampled' = 'false'
            ) AS is_partial
        FROM tree
        LEFT JOIN tree AS above ON above.row_order = tree.parent_row
        LEFT JOIN gaps_after AS after ON after.row_order = tree.row_order
        LEFT JOIN tree AS next ON next.row_order = after.to_row
        LEFT JOIN baselines
            ON baselines.service = tree.service AND baselines.operation = tree.operation
        LEFT JOIN dropped ON tree.row_order = 1
    ),
    judged AS MATERIALIZED (
        SELECT
            *,
            concat_ws(
                '; ',
                CASE status
                    WHEN 'failed' THEN
                        concat_ws(': ', 'failed', coalesce(error_type, left(error_message, 200)))
                    WHEN 'timeout' THEN
                        concat_ws(': ', 'timeout', coalesce(error_type, left(error_message, 200)))
                    WHEN 'started' THEN 'never ended'
                END,
                CASE
                    WHEN samples >= v_limits.minimum_samples
                        AND duration_ns > v_limits.slow_factor * baseline_ns THEN
                        format(
                            'slow: %s, %s times the average of %s over %s spans of other '
                            'executions',
                            trace_seconds(duration_ns),
                            CASE WHEN baseline_ns > 0
                                THEN round(duration_ns / baseline_ns, 1)::text ELSE 'many' END,
                            trace_seconds(baseline_ns), samples)
                END,
                CASE
                    WHEN lead_ns > v_limits.gap_ns AND above_service <> service THEN
                        format(
                            'gap of %s s before it, since the start of %s',
                            round(lead_ns / 1e9, 1), trace_label(above_service, above_operation))
                END,
                CASE
                    WHEN after_ns > v_limits.gap_ns AND next_service <> service THEN
                        format(
                            'gap of %s s after it, until the %s of %s',
                            round(after_ns / 1e9, 1), CASE WHEN is_tail THEN 'end' ELSE 'start' END,
                            trace_label(next_service, next_operation))
                END,
                CASE
                    WHEN spans_dropped > 0 THEN
                        format(
                            '%s dropped in its time by its writers (%s): some may be missing here',
                            CASE spans_dropped
                                WHEN 1 THEN '1 span was' ELSE spans_dropped || ' spans were' END,
                            dropped_by_reason)
                END,
                CASE
                    WHEN is_partial THEN
                        'not sampled: only spans that failed or took long, and those around them, are '
                        'stored of its trace'
                END
            ) AS reason,
            coalesce(
                status <> 'started' AND duration_ns > p95_ns AND effect > v_limits.outlier_effect
                    AND duration_ns > v_limits.outlier_factor * p50_ns,
                false
            ) AS is_outlier
        FROM facts
    )
    SELECT
        service, operation, started_at, completed_at, duration_ms,
        least(round(after_ns / 1e6), 2147483647)::integer,
        status, error_message,
        reason <> '',
        nullif(reason, ''),
        span_id, trace_id, depth,
        least(round(gap_before_ns / 1e6), 2147483647)::integer,
        CASE WHEN self_time_ns IS NOT NULL
            THEN least(round(self_time_ns / 1e6), 2147483647)::integer END,
        round(baseline_ns / 1e6, 3),
        samples,
        CASE WHEN samples < v_limits.minimum_samples
            THEN format(
                'insufficient history: %s spans of other executions, %s needed',
                samples, v_limits.minimum_samples)
        END,
        error_type,
        spans_dropped,
        is_outlier,
        CASE WHEN is_outlier THEN
            format(
                'outlier: %s, where half of %s spans of other executions took %s and 95 of 100 took '
                '%s at most',
                trace_seconds(duration_ns), samples, trace_seconds(p50_ns::numeric),
                trace_seconds(p95_ns::numeric))
        END,
        round(effect::numeric, 1),
        CASE WHEN is_outlier THEN
            round((samples / (samples + 20.0) * (1 - 1 / (effect * effect)))::numeric, 2)
        END,
        round((p50_ns / 1e6)::numeric, 3),
        round((p95_ns / 1e6)::numeric, 3)
    FROM judged
    ORDER BY row_order;
END
$$;

COMMENT ON FUNCTION diagnose_execution_trace(bigint) IS
    'The execution''s spans in display order, with gaps, self time, the average of other '
    'executions, and what is unusual: slow, gap between services, failed or timeout, never ended. '
    'The first row has the number of spans that the execution''s writers dropped in its time, the '
    'others NULL. No row: no span is recorded for the execution.';

REVOKE ALL ON FUNCTION diagnose_execution_trace(bigint) FROM PUBLIC;
