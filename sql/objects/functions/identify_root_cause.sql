-- Why an execution failed, timed out or was slow: the first row is the answer, other candidates
-- follow. No row: nothing is wrong. A row UNKNOWN: something is, and we cannot tell what; or, with
-- no service, there are no spans of that execution.
--
-- A failure is a span that failed, timed out or never ended. It is put down to the deepest such
-- span without failures below. One that was retried with success, or whose caller completed, was
-- recovered from, weighs less, and never comes before one that was not. An explicit error weighs
-- more than a deduction from times.
--
-- Where a process was killed, or ended, amid a span, whoever accounted for it stored the span as
-- failed with error type process_crash or process_exit. Whatever failed below such a span may be
-- its effect, and all spans around it in the process ended with it: the deepest one is named.
CREATE OR REPLACE FUNCTION identify_root_cause(p_execution_id bigint)
RETURNS TABLE (
    root_cause_type text,
    affected_service text,
    affected_operation text,
    evidence text,
    recommendation text,
    confidence numeric,
    rank integer,
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
    SELECT * INTO v_limits FROM trace_limits();
    RETURN QUERY
    WITH tree AS MATERIALIZED (
        SELECT * FROM trace_tree(p_execution_id)
    ),
    total AS MATERIALIZED (
        SELECT
            coalesce(max(offset_ns + duration_ns), 0) AS ns,
            array_agg(DISTINCT trace_id) AS trace_ids,
            min(started_at) AS started_at
        FROM tree
        HAVING count(*) > 0
    ),
    spans AS MATERIALIZED (
        SELECT
            tree.*,
            tree.status IN ('failed', 'timeout', 'started') AS is_failure,
            coalesce(tree.error_type IN ('process_crash', 'process_exit'), false)
                AS is_process_end,
            tree.status <> 'completed' AND (
                above.status = 'completed'
                OR max(CASE WHEN tree.status = 'completed' THEN tree.offset_ns END) OVER (
                    PARTITION BY tree.parent_row, tree.service, tree.operation
                ) >= tree.offset_ns + coalesce(tree.duration_ns, 0)
            ) AS recovers
        FROM tree
        LEFT JOIN tree AS above ON above.row_order = tree.parent_row
    ),
    failures AS (
        SELECT *
        FROM (
            SELECT
                *,
                -- Inside the subtree of one that was recovered from.
                coalesce(max(CASE WHEN recovers THEN last_row END) OVER (ORDER BY row_order), 0)
                    >= row_order AS is_recovered
            FROM spans
        ) AS marked
        WHERE is_failure
    ),
    network_gaps AS MATERIALIZED (
        SELECT gaps.*, parent.service AS parent_service
        FROM trace_gaps(p_execution_id) AS gaps
        LEFT JOIN tree AS parent ON parent.row_order = gaps.parent_row
        WHERE gaps.kind <> 'overflow' AND gaps.between_services
          AND gaps.gap_ns > v_limits.network_gap_ns
    ),
    -- Open spans of processes that say nothing any more, and that nobody has accounted for.
    open_spans AS MATERIALIZED (
        SELECT trace_id, span_id, writer_id FROM trace_open_spans
        WHERE trace_id = ANY (ARRAY(SELECT DISTINCT trace_id FROM tree WHERE status = 'started'))
    ),
    silent_spans AS MATERIALIZED (
        SELECT
            open_spans.trace_id, open_spans.span_id,
            min(format(
                'process %s on %s was last seen %s h ago',
                coalesce(writers.pid::text, '?'), coalesce(writers.host, '?'),
                floor(extract(epoch FROM now() - writers.last_seen_at) / 3600)
            )) AS said
        FROM open_spans
        JOIN trace_writers AS writers ON writers.writer_id = open_spans.writer_id
        WHERE writers.writer_id = ANY (ARRAY(SELECT writer_id FROM open_spans))
          AND writers.recovered_at IS NULL
          AND writers.last_seen_at < now() - v_limits.writer_silent
        GROUP BY open_spans.trace_id, open_spans.span_id
    ),
    origins AS (
        SELECT
            leaves.*,
            silent_spans.said AS silent_process,
            -- Silence between services inside the span is a cause of its own, below.
            greatest(coalesce(self_time_ns, 0) - coalesce(silent.gap_ns, 0), 0) AS own_ns,
            CASE
                WHEN error_type = 'process_crash' THEN 'PROCESS_CRASH'
                WHEN error_type = 'process_exit' THEN 'PROCESS_EXIT'
                WHEN type_kind = 'connection' THEN 'CONNECTION_FAILURE'
                WHEN type_kind = 'timeout' OR status IN ('timeout', 'started')
                    THEN 'SERVICE_TIMEOUT'
                WHEN type_kind = 'modal' THEN 'MODAL_EXECUTION_FAILURE'
                WHEN text_kind = 'connection' THEN 'CONNECTION_FAILURE'
                WHEN text_kind = 'timeout' THEN 'SERVICE_TIMEOUT'
                WHEN text_kind = 'modal' OR lower(service) = 'modal' OR operation ILIKE 'modal.%'
                    THEN 'MODAL_EXECUTION_FAILURE'
                ELSE 'UNKNOWN'
            END AS type
        FROM (
            SELECT
                *,
                trace_error_kind(error_type) AS type_kind,
                trace_message_kind(error_message) AS text_kind,
                coalesce(lead(row_order) OVER (PARTITION BY is_recovered ORDER BY row_order), 0)
                    BETWEEN row_order + 1 AND last_row AS has_failure_below,
                coalesce(
                    lead(row_order) OVER (
                        PARTITION BY is_recovered, is_process_end ORDER BY row_order),
                    0
                ) BETWEEN row_order + 1 AND last_row AS has_same_below,
                coalesce(lead(row_order) OVER (ORDER BY row_order), 0)
                    BETWEEN row_order + 1 AND last_row AS has_any_below
            FROM failures
        ) AS leaves
        LEFT JOIN (
            SELECT parent_row, sum(gap_ns) AS gap_ns FROM network_gaps GROUP BY parent_row
        ) AS silent ON silent.parent_row = leaves.row_order
        LEFT JOIN silent_spans
            ON silent_spans.trace_id = leaves.trace_id AND silent_spans.span_id = leaves.span_id
            AND leaves.status = 'started'
        WHERE NOT CASE WHEN is_process_end THEN has_same_below ELSE has_failure_below END
    ),
    slowest AS (
        SELECT
            tree.service, tree.operation, sum(tree.self_time_ns) AS self_ns, count(*) AS spans,
            max(tree.duration_ns) AS longest_ns,
            array_agg(tree.span_id ORDER BY tree.self_time_ns DESC, tree.row_order) AS span_ids,
            min(tree.row_order) AS row_order
        FROM tree
        CROSS JOIN total
        WHERE total.ns > v_limits.degradation_ns
          AND NOT EXISTS (SELECT FROM failures WHERE NOT is_recovered)
        GROUP BY tree.service, tree.operation
        ORDER BY self_ns DESC, row_order
        LIMIT 1
    ),
    -- Failed, timed out and open spans; the same operation failing again is one candidate.
    failed AS (
        SELECT
            type, service, operation,
            format(
                '%s %s%s%s%s%s%s',
                trace_label(service, operation, (array_agg(span_id ORDER BY row_order))[1]),
                CASE min(status)
                    WHEN 'started' THEN 'never ended'
                    WHEN 'timeout' THEN 'timed out'
                    ELSE 'failed'
                END,
                coalesce(' after ' || trace_seconds(min(duration_ns)), ''),
                coalesce(': ' || nullif(concat_ws(': ',
                    (array_agg(error_type ORDER BY row_order))[1],
                    left((array_agg(error_message ORDER BY row_order))[1], 300)), ''), ''),
                CASE WHEN count(*) > 1 THEN format(', %s times', count(*)) ELSE '' END,
                CASE type
                    WHEN 'PROCESS_CRASH' THEN '; the process was killed amid this operation'
                    WHEN 'PROCESS_EXIT' THEN '; the process ended amid this operation'
                    ELSE coalesce('; its ' || min(silent_process), '')
                END,
                CASE WHEN bool_and(is_recovered) THEN '; its caller went on' ELSE '' END
                || CASE
                    WHEN bool_or(has_failure_below) THEN '; other spans below it failed as well'
                    WHEN bool_or(has_any_below) THEN '; no unrecovered failure below it'
                    ELSE '; no span below it failed'
                END
            ) AS evidence,
            CASE type
                WHEN 'PROCESS_CRASH' THEN 0.95
                WHEN 'PROCESS_EXIT' THEN 0.85
                WHEN 'CONNECTION_FAILURE' THEN
                    CASE WHEN bool_or(type_kind = 'connection') THEN 0.95 ELSE 0.90 END
                WHEN 'MODAL_EXECUTION_FAILURE' THEN 0.90
                WHEN 'SERVICE_TIMEOUT' THEN
                    0.75 + 0.20 * least(max(own_ns) / greatest(max(total.ns), 1)::numeric, 1)
                ELSE 0.30
            END AS confidence,
            bool_and(is_recovered) AS is_recovered,
            array_agg(span_id ORDER BY row_order) AS span_ids,
            -- Among equals, a crash goes before the rest and the deepest before others.
            max(CASE WHEN is_process_end THEN depth + 1 ELSE 0 END) AS end_depth,
            max(own_ns) AS weight_ns,
            min(row_order) AS row_order
        FROM origins
        CROSS JOIN total
        GROUP BY type, service, operation
    ),
    candidates AS (
        SELECT
            type, service, operation, evidence,
            CASE
                WHEN is_recovered THEN greatest(
                    least(
                        confidence - 0.40,
                        min(confidence) FILTER (WHERE NOT is_recovered) OVER () - 0.05),
                    0.05)
                ELSE confidence
            END AS confidence,
            span_ids, end_depth, weight_ns, row_order, NULL AS parent_service
        FROM failed

        UNION ALL
        SELECT
            'NETWORK_TIMEOUT',
            from_service || ' -> ' || to_service,
            from_operation || ' -> ' || to_operation,
            format(
                'no span covers %s of %s between the %s of %s and the %s of %s',
                trace_seconds(gap_ns), trace_seconds(total.ns),
                CASE kind WHEN 'lead' THEN 'start' ELSE 'end' END,
                trace_label(from_service, from_operation, from_span_id),
                CASE kind WHEN 'tail' THEN 'end' ELSE 'start' END,
                trace_label(to_service, to_operation, to_span_id)
            ),
            0.75 + 0.20 * least(gap_ns / greatest(total.ns, 1)::numeric, 1)
            -- An error that was seen explains more than a silence beside it.
            - CASE WHEN EXISTS (
                  SELECT FROM origins
                  WHERE NOT is_recovered
                    AND type IN (
                        'CONNECTION_FAILURE', 'MODAL_EXECUTION_FAILURE', 'PROCESS_CRASH',
                        'PROCESS_EXIT')
              ) THEN 0.30 ELSE 0 END,
            ARRAY[from_span_id, to_span_id],
            0,
            gap_ns,
            to_row,
            parent_service
        FROM network_gaps
        CROSS JOIN total

        UNION ALL
        SELECT
            'PERFORMANCE_DEGRADATION',
            slowest.service,
            slowest.operation,
            format(
                'the execution took %s, more than %s s, and nothing failed; %s spent %s of it '
                'itself in %s %s; %s',
                trace_seconds(total.ns), v_limits.degradation_ns / 1000000000,
                trace_label(slowest.service, slowest.operation, slowest.span_ids[1]),
                trace_seconds(slowest.self_ns),
                slowest.spans, CASE slowest.spans WHEN 1 THEN 'span' ELSE 'spans' END,
                CASE
                    WHEN coalesce(history.baseline_samples, 0) < v_limits.minimum_samples THEN
                        format(
                            'insufficient history: %s spans of other executions, %s needed',
                            coalesce(history.baseline_samples, 0), v_limits.minimum_samples)
                    ELSE
                        format(
                            'its longest took %s, where %s spans of other executions took %s '
                            'on average',
                            trace_seconds(slowest.longest_ns), history.baseline_samples,
                            trace_seconds(history.baseline_ns))
                END
            ),
            CASE
                WHEN history.baseline_samples >= v_limits.minimum_samples
                    AND slowest.longest_ns > v_limits.slow_factor * history.baseline_ns THEN 0.70
                ELSE 0.55
            END,
            slowest.span_ids[1:10],
            0,
            slowest.self_ns,
            slowest.row_order,
            NULL
        FROM slowest
        CROSS JOIN total
        LEFT JOIN LATERAL trace_baselines(
            p_execution_id, total.trace_ids, ARRAY[slowest.service], ARRAY[slowest.operation],
            total.started_at
        ) AS history ON true

        UNION ALL
        SELECT
            'UNKNOWN', NULL, NULL,
            format('no span is recorded for execution %s', p_execution_id),
            0.00, ARRAY[]::uuid[], 0, 0, 0, NULL
        WHERE NOT EXISTS (SELECT FROM tree)
    )
    SELECT
        type,
        service,
        operation,
        evidence,
        CASE
            WHEN type = 'NETWORK_TIMEOUT' THEN
                'check the network, proxies and queues on the way ' || service || ', and their '
                'idle timeouts: the time passed between the two, ' || CASE
                    WHEN parent_service IS NULL THEN 'in neither of them'
                    ELSE 'or in ' || parent_service || '''s own work that no span covers'
                END
            WHEN type = 'CONNECTION_FAILURE' THEN
                'check that what ' || trace_label(service, operation) || ' connects to is up and '
                'reachable: address, port, DNS, firewall, connection limits'
            WHEN type = 'PROCESS_CRASH' THEN
                'find out what killed the process of ' || service || ' at that time: the '
                'kernel''s out-of-memory log, its exit code or signal, its last log lines, '
                'deployment events'
            WHEN type = 'PROCESS_EXIT' THEN
                'find out why the process of ' || service || ' ended at that time: deployment or '
                'scaling events, a signal, an early return; and that it waits for '
                || trace_label(service, operation)
            WHEN type = 'SERVICE_TIMEOUT' THEN
                'check load and logs of ' || service || ' at that time, and whether the deadline '
                'of ' || trace_label(service, operation) || ' is long enough'
            WHEN type = 'MODAL_EXECUTION_FAILURE' THEN
                'check the logs of the Modal function behind ' || trace_label(service, operation)
                || ': exceptions, memory, GPU availability, cold starts'
            WHEN type = 'PERFORMANCE_DEGRADATION' THEN
                'profile ' || trace_label(service, operation) || ' and compare with '
                'find_similar_traces(' || p_execution_id || ')'
            WHEN service IS NULL THEN
                'check the id, and that its program traces (ENABLE_DB_TRACING) and its spans '
                'arrive: spanring doctor'
            ELSE
                'read the logs of ' || service || ' at that time: the error is of no known kind'
        END,
        round(confidence, 2),
        (row_number() OVER ranking)::integer,
        span_ids
    FROM candidates
    WINDOW ranking AS (
        ORDER BY
            round(confidence, 2) DESC, end_depth DESC, weight_ns DESC, row_order, type, service,
            operation
    )
    ORDER BY 7;
END
$$;

COMMENT ON FUNCTION identify_root_cause(bigint) IS
    'Ranked causes of an execution''s failure or slowness with evidence and advice; the first row '
    'is the answer. No row: nothing is wrong. UNKNOWN: no cause can be told, or, with a NULL '
    'service, no span is recorded.';

REVOKE ALL ON FUNCTION identify_root_cause(bigint) FROM PUBLIC;
