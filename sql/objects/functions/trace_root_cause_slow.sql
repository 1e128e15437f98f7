-- Who spent the time, of rows of trace_tree, given as arrays of its columns: the part of
-- trace_root_cause that asks how long operations usually take.
--
-- p_deadline_rows are the rows of spans that timed out. Each owned a deadline; what completed below it
-- in another service, and took most of its time, spent it. NULL: nothing failed for good. Then, if all
-- of it took too long, whoever took longest itself; else another service that took most of it, and far
-- more than usual.
CREATE OR REPLACE FUNCTION trace_root_cause_slow(
    p_last_row integer[],
    p_service text[],
    p_operation text[],
    p_span_id uuid[],
    p_status text[],
    p_started_at timestamptz[],
    p_created_at timestamptz[],
    p_offset_ns bigint[],
    p_duration_ns bigint[],
    p_self_time_ns bigint[],
    p_deadline_rows integer[]
)
RETURNS TABLE (
    root_cause_type text,
    affected_service text,
    affected_operation text,
    evidence text,
    confidence numeric,
    span_ids uuid[],
    self_ns numeric,
    row_order integer
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
        SELECT *
        FROM unnest(
            p_last_row, p_service, p_operation, p_span_id, p_status, p_started_at, p_created_at,
            p_offset_ns, p_duration_ns, p_self_time_ns
        ) WITH ORDINALITY AS spans (
            last_row, service, operation, span_id, status, started_at, created_at, offset_ns,
            duration_ns, self_time_ns, row_order)
    ),
    total AS MATERIALIZED (
        SELECT
            coalesce(max(offset_ns + duration_ns), 0) AS ns,
            min(started_at) AS started_at,
            count(*) AS spans,
            p_service[1] AS first_service
        FROM tree
    ),
    -- What took too long: a span with a deadline, or all of it.
    waits AS MATERIALIZED (
        SELECT
            row_order, last_row, duration_ns AS ns, service AS but_service,
            trace_label(service, operation, span_id) AS deadline_of
        FROM tree
        WHERE row_order = ANY (p_deadline_rows)
        UNION ALL
        SELECT 0, spans, ns, CASE WHEN ns <= v_limits.degradation_ns THEN first_service END, NULL
        FROM total
        WHERE p_deadline_rows IS NULL AND ns > v_limits.gap_ns
    ),
    spent AS MATERIALIZED (
        SELECT
            waits.deadline_of, waits.ns AS wait_ns,
            waits.but_service IS NULL AS is_degradation,
            below.service, below.operation,
            coalesce(sum(below.self_time_ns), 0) AS self_ns,
            max(below.duration_ns) AS longest_ns,
            format('%s %s', count(*), CASE count(*) WHEN 1 THEN 'span' ELSE 'spans' END) AS spans,
            (array_agg(
                below.span_id ORDER BY below.self_time_ns DESC NULLS LAST, below.row_order
            ))[1:10] AS span_ids,
            min(below.row_order)::integer AS row_order
        FROM waits
        JOIN tree AS below
            ON below.row_order > waits.row_order AND below.row_order <= waits.last_row
            AND below.service IS DISTINCT FROM waits.but_service
            AND (waits.deadline_of IS NULL OR below.status = 'completed')
        GROUP BY 1, 2, 3, 4, 5, waits.row_order
        HAVING waits.but_service IS NULL
            OR sum(below.self_time_ns) > v_limits.dependency_share * waits.ns
        ORDER BY self_ns DESC, row_order
        LIMIT CASE WHEN p_deadline_rows IS NULL THEN 1 ELSE 3 END
    ),
    -- What those operations usually take.
    history AS MATERIALIZED (
        SELECT baselines.*
        FROM (
            SELECT
                array_agg(service) AS services,
                array_agg(operation) AS operations,
                array_agg(started_at) AS started_at,
                array_agg(created_at) AS created_at,
                array_agg(CASE status WHEN 'completed' THEN duration_ns END) AS completed_ns
            FROM tree
            WHERE (service, operation) IN (SELECT service, operation FROM spent)
        ) AS own
        CROSS JOIN total
        CROSS JOIN LATERAL trace_baselines(
            own.services, own.operations, own.started_at, own.created_at, own.completed_ns,
            total.started_at
        ) AS baselines
    ),
    compared AS (
        SELECT
            spent.*,
            trace_label(spent.service, spent.operation, spent.span_ids[1]) AS label,
            format(
                '%s spans of other executions took %s on average',
                history.baseline_samples, trace_seconds(history.baseline_ns)) AS usual,
            CASE
                WHEN coalesce(history.baseline_samples, 0) < v_limits.minimum_samples THEN format(
                    'insufficient history: %s spans of other executions, %s needed',
                    coalesce(history.baseline_samples, 0), v_limits.minimum_samples)
            END AS no_history,
            spent.longest_ns > v_limits.slow_factor * history.baseline_ns AS is_slower,
            spent.longest_ns - history.baseline_ns AS excess_ns
        FROM spent
        LEFT JOIN history
            ON history.service = spent.service AND history.operation = spent.operation
    )
    SELECT
        'SLOW_DEPENDENCY', service, operation,
        format(
            '%s completed, and spent %s itself in %s of the %s after which %s timed out; %s',
            label, trace_seconds(self_ns), spans, trace_seconds(wait_ns), deadline_of,
            coalesce(no_history, usual)),
        CASE
            -- No slower than ever: the deadline is too short.
            WHEN no_history IS NULL AND NOT is_slower THEN 0.50
            ELSE 0.75 + 0.20 * least(self_ns / wait_ns::numeric, 1)
        END,
        span_ids, self_ns, row_order
    FROM compared
    WHERE deadline_of IS NOT NULL

    UNION ALL
    SELECT
        'SLOW_DEPENDENCY', service, operation,
        format(
            'nothing failed, but %s spent %s of %s itself in %s; its longest took %s, where %s',
            label, trace_seconds(self_ns), trace_seconds(wait_ns), spans,
            trace_seconds(longest_ns), usual),
        0.60, span_ids, self_ns, row_order
    FROM compared
    WHERE deadline_of IS NULL AND NOT is_degradation
      AND no_history IS NULL AND is_slower AND excess_ns > v_limits.gap_ns

    UNION ALL
    SELECT
        'PERFORMANCE_DEGRADATION', service, operation,
        format(
            'the execution took %s, more than %s s, and nothing failed; %s spent %s of it itself '
            'in %s; %s',
            trace_seconds(wait_ns), v_limits.degradation_ns / 1000000000, label,
            trace_seconds(self_ns), spans,
            coalesce(
                no_history,
                format('its longest took %s, where %s', trace_seconds(longest_ns), usual))),
        CASE WHEN no_history IS NULL AND is_slower THEN 0.70 ELSE 0.55 END,
        span_ids, self_ns, row_order
    FROM compared
    WHERE deadline_of IS NULL AND is_degradation;
END
$$;

COMMENT ON FUNCTION trace_root_cause_slow(
    integer[], text[], text[], uuid[], text[], timestamptz[], timestamptz[], bigint[], bigint[],
    bigint[], integer[]) IS
    'Candidates for trace_root_cause(), of rows of trace_tree(), given as arrays of its columns in '
    'display order: who spent the time of those rows that timed out, or, where these are NULL, of '
    'all of it, since nothing failed for good.';

REVOKE ALL ON FUNCTION trace_root_cause_slow(
    integer[], text[], text[], uuid[], text[], timestamptz[], timestamptz[], bigint[], bigint[],
    bigint[], integer[]) FROM PUBLIC;
