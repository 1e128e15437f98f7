-- Why an execution, or one trace, failed, timed out or was slow: identify_root_cause is this for
-- an execution. The first row is the answer, other candidates follow. No row: nothing is wrong. A
-- row UNKNOWN: something is, and we cannot tell what; or, with no service, there are no spans.
--
-- A failure is a span that failed, timed out or never ended. It is put down to the deepest such
-- span without failures below: those above it were only reached by it. One that was retried with
-- success, or whose caller completed, was recovered from, weighs less, and never comes before one
-- that was not; but where nothing else has a known kind, an error whose caller merely went on is
-- the best there is. An explicit error weighs more than a deduction from times.
--
-- Of a call, whose span says that it is a client's, the sides are told apart: a failure of the
-- server is below it; where the server completed, its answer was late or got lost; where there is
-- no span of the server, it may not have been reached.
--
-- Where a process was killed, or ended, amid a span, whoever accounted for it stored the span as
-- failed with error type process_crash or process_exit. Whatever failed below such a span may be
-- its effect, and all spans around it in the process ended with it: the deepest one is named.
CREATE OR REPLACE FUNCTION trace_root_cause(
    p_execution_id bigint, p_trace_id uuid DEFAULT NULL
)
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
        SELECT * FROM trace_tree(p_execution_id, p_trace_id)
    ),
    total AS MATERIALIZED (
        SELECT
            coalesce(max(offset_ns + duration_ns), 0) AS ns,
            min(started_at) AS started_at,
            coalesce(bool_or(metadata ->> 'spanring.sampled' = 'false'), false) AS is_partial
        FROM tree
        HAVING count(*) > 0
    ),
    spans AS MATERIALIZED (
        SELECT
            tree.*,
            tree.status IN ('failed', 'timeout', 'started') AS is_failure,
            coalesce(tree.error_type IN ('process_crash', 'process_exit'), false)
                AS is_process_end,
            tree.status <> 'completed' AND coalesce(above.status = 'completed', false) AS goes_on,
            tree.status <> 'completed' AND coalesce(
                max(CASE WHEN tree.status = 'completed' THEN tree.offset_ns END) OVER (
                    PARTITION BY tree.parent_row, tree.service, tree.operation
                ) >= tree.offset_ns + coalesce(tree.duration_ns, 0),
                false) AS is_retried
        FROM tree
        LEFT JOIN tree AS above ON above.row_order = tree.parent_row
    ),
    failures AS (
        SELECT *
        FROM (
            SELECT
                *,
                -- Inside the subtree of one that was recovered from.
                coalesce(max(CASE WHEN goes_on OR is_retried THEN last_row END)
                    OVER (ORDER BY row_order), 0) >= row_order AS is_recovered,
                coalesce(max(CASE WHEN is_retried THEN last_row END)
                    OVER (ORDER BY row_order), 0) >= row_order AS is_repaired
            FROM spans
        ) AS marked
        WHERE is_failure
    ),
    -- What the errors say, each text looked at once.
    errors AS MATERIALIZED (
        SELECT texts.applies_to, texts.error, pattern.*
        FROM (
            SELECT DISTINCT 'type' AS applies_to, error_type AS error FROM failures
            UNION ALL
            SELECT DISTINCT 'message', error_message FROM failures
        ) AS texts
        CROSS JOIN LATERAL trace_match_error(texts.applies_to, texts.error) AS pattern
    ),
    -- A client's span holds nothing but the call. So where it timed out, silence for most of its time
    -- was the network, however short; unless something failed below, or its caller did without it.
    timed_calls AS MATERIALIZED (
        SELECT
            call.row_order, (v_limits.dependency_share * call.duration_ns)::bigint AS silence_ns
        FROM (
            SELECT
                *,
                coalesce(lead(row_order) OVER (ORDER BY row_order), 0)
                    BETWEEN row_order + 1 AND last_row AS has_any_below
            FROM failures
        ) AS call
        LEFT JOIN errors AS by_type
            ON by_type.applies_to = 'type' AND by_type.error = call.error_type
        LEFT JOIN errors AS by_text
            ON by_text.applies_to = 'message' AND by_text.error = call.error_message
        WHERE call.metadata ->> 'span.kind' = 'client'
          AND NOT call.is_recovered AND NOT call.has_any_below
          AND (call.status = 'timeout' OR coalesce(
              by_type.root_cause_type, by_text.root_cause_type) = 'SERVICE_TIMEOUT')
    ),
    -- Who answered a client's failed call, the last if several did.
    answers_to AS MATERIALIZED (
        SELECT DISTINCT ON (call.row_order)
            call.row_order, server.service AS answer_service,
            server.operation AS answer_operation,
            format(
                CASE WHEN server.overflow_ns > 0
                    THEN '; %s went on, and completed %s later'
                    ELSE '; %s had completed after %s' END,
                trace_label(server.service, server.operation, server.span_id),
                trace_seconds(CASE WHEN server.overflow_ns > 0
                    THEN server.overflow_ns ELSE server.duration_ns END)
            ) AS answer
        FROM failures AS call
        JOIN tree AS server ON server.parent_row = call.row_order
        WHERE call.metadata ->> 'span.kind' = 'client'
          AND server.service <> call.service AND server.status = 'completed'
        ORDER BY call.row_order, server.offset_ns DESC, server.row_order DESC
    ),
    -- As trace_gaps() has them, without another look at the spans.
    network_gaps AS MATERIALIZED (
        SELECT
            gaps.*,
            opening.service AS from_service, opening.operation AS from_operation,
            opening.span_id AS from_span_id,
            closing.service AS to_service, closing.operation AS to_operation,
            closing.span_id AS to_span_id,
            parent.service AS parent_service
        FROM (
            SELECT
                CASE WHEN gap_before_row = parent_row THEN 'lead' ELSE 'between' END AS kind,
                gap_before_row AS from_row, tree.row_order AS to_row, parent_row,
                gap_before_ns AS gap_ns
            FROM tree
            LEFT JOIN timed_calls AS call ON call.row_order = tree.parent_row
            WHERE gap_before_ns > least(v_limits.network_gap_ns, call.silence_ns)
            UNION ALL
            SELECT 'tail', tail_gap_row, tree.row_order, tree.row_order, tail_gap_ns
            FROM tree
            LEFT JOIN timed_calls AS call ON call.row_order = tree.row_order
            WHERE tail_gap_ns > least(v_limits.network_gap_ns, call.silence_ns)
        ) AS gaps
        JOIN tree AS opening ON opening.row_order = gaps.from_row
        JOIN tree AS closing ON closing.row_order = gaps.to_row
        LEFT JOIN tree AS parent ON parent.row_order = gaps.parent_row
        WHERE opening.service <> closing.service
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
            answers_to.answer, answers_to.answer_service, answers_to.answer_operation,
            -- Whom a client called, where it says so.
            coalesce(
                metadata ->> 'peer.service',
                (metadata ->> 'server.address') || coalesce(':' || (metadata ->> 'server.port'), '')
            ) AS called,
            -- Silence between services inside the span is a cause of its own, below.
            greatest(coalesce(self_time_ns, 0) - coalesce(silent.gap_ns, 0), 0) AS own_ns,
            CASE
                WHEN error_type = 'process_crash' THEN 'PROCESS_CRASH'
                WHEN error_type = 'process_exit' THEN 'PROCESS_EXIT'
                -- A user's own pattern knows better.
                WHEN NOT by_type.is_built_in THEN by_type.root_cause_type
                WHEN NOT by_text.is_built_in THEN by_text.root_cause_type
                WHEN by_type.root_cause_type = 'CONNECTION_FAILURE' THEN 'CONNECTION_FAILURE'
                WHEN by_type.root_cause_type = 'SERVICE_TIMEOUT'
                    OR leaves.status IN ('timeout', 'started') THEN 'SERVICE_TIMEOUT'
                WHEN by_type.root_cause_type IS NOT NULL THEN by_type.root_cause_type
                WHEN by_text.root_cause_type IS NOT NULL THEN by_text.root_cause_type
                WHEN lower(service) = 'modal' OR operation ILIKE 'modal.%'
                    THEN 'MODAL_EXECUTION_FAILURE'
                ELSE 'UNKNOWN'
            END AS type,
            -- The pattern that told, where it was the type's or a user's.
            by_type.root_cause_type AS type_says,
            CASE
                WHEN NOT by_type.is_built_in THEN by_type.name
                WHEN NOT by_text.is_built_in THEN by_text.name
            END AS own_pattern,
            CASE
                WHEN NOT by_type.is_built_in THEN by_type.recommendation
                WHEN NOT by_text.is_built_in THEN by_text.recommendation
                ELSE coalesce(by_type.recommendation, by_text.recommendation)
            END AS own_recommendation
        FROM (
            SELECT
                *,
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
        LEFT JOIN errors AS by_type
            ON by_type.applies_to = 'type' AND by_type.error = leaves.error_type
        LEFT JOIN errors AS by_text
            ON by_text.applies_to = 'message' AND by_text.error = leaves.error_message
        LEFT JOIN (
            SELECT parent_row, sum(gap_ns) AS gap_ns FROM network_gaps GROUP BY parent_row
        ) AS silent ON silent.parent_row = leaves.row_order
        LEFT JOIN silent_spans
            ON silent_spans.trace_id = leaves.trace_id AND silent_spans.span_id = leaves.span_id
            AND leaves.status = 'started'
        LEFT JOIN answers_to ON answers_to.row_order = leaves.row_order
        WHERE NOT CASE WHEN is_process_end THEN has_same_below ELSE has_failure_below END
    ),
    -- Failed, timed out and open spans; the same operation failing again is one candidate.
    failed AS (
        SELECT
            type, service, operation,
            max(CASE type
                WHEN 'PROCESS_CRASH' THEN NULL
                WHEN 'PROCESS_EXIT' THEN NULL
                ELSE own_pattern
            END) AS own_pattern,
            max(own_recommendation) AS own_recommendation,
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
                END
                || coalesce((array_agg(answer ORDER BY row_order))[1], CASE type
                    WHEN 'CONNECTION_FAILURE'
                        THEN '; it called ' || (array_agg(called ORDER BY row_order))[1]
                END, ''),
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
                    CASE WHEN bool_or(type_says = 'CONNECTION_FAILURE') THEN 0.95 ELSE 0.90 END
                WHEN 'MODAL_EXECUTION_FAILURE' THEN 0.90
                WHEN 'SERVICE_TIMEOUT' THEN
                    0.75 + 0.20 * least(max(own_ns) / greatest(max(total.ns), 1)::numeric, 1)
                WHEN 'UNKNOWN' THEN 0.30
                ELSE CASE WHEN bool_or(type_says = type) THEN 0.95 ELSE 0.90 END
            END AS confidence,
            bool_and(is_recovered) AS is_recovered,
            bool_and(is_repaired) AS is_repaired,
            array_agg(span_id ORDER BY row_order) AS span_ids,
            -- Among equals, a crash goes before the rest and the deepest before others.
            max(CASE WHEN is_process_end THEN depth + 1 ELSE 0 END) AS end_depth,
            max(own_ns) AS weight_ns,
            bool_or(is_process_end) AS is_process_end,
            -- What failed to connect, or lost the connection on which its answer came.
            CASE WHEN type = 'CONNECTION_FAILURE' THEN (array_agg(called ORDER BY row_order))[1] END
                AS called,
            CASE WHEN type = 'CONNECTION_FAILURE' AND count(answer) = count(*) THEN
                (array_agg(answer_service || ' -> ' || service ORDER BY row_order))[1] END
                AS way_service,
            CASE WHEN type = 'CONNECTION_FAILURE' AND count(answer) = count(*) THEN
                (array_agg(answer_operation || ' -> ' || operation ORDER BY row_order))[1] END
                AS way_operation,
            min(row_order) AS row_order
        FROM origins
        CROSS JOIN total
        GROUP BY type, service, operation
    ),
    -- Whom the error reached: the failed spans above the first of its kind, nearest first.
    reached AS (
        SELECT
            failed.row_order,
            string_agg(trace_label(above.service, above.operation), ', '
                ORDER BY above.row_order DESC) AS callers
        FROM (SELECT * FROM failed WHERE NOT is_process_end ORDER BY row_order LIMIT 50) AS failed
        JOIN failures AS above
            ON above.row_order < failed.row_order AND above.last_row >= failed.row_order
        GROUP BY failed.row_order
    ),
    -- Who spent the time: of spans that timed out, or of all of it where nothing failed for good.
    spenders AS MATERIALIZED (
        SELECT spent.*
        FROM (
            SELECT CASE WHEN EXISTS (SELECT FROM failures WHERE NOT is_recovered) THEN ARRAY(
                SELECT row_order FROM origins
                WHERE type = 'SERVICE_TIMEOUT' AND status <> 'started' AND NOT is_recovered
                  AND last_row > row_order AND duration_ns > 0
                ORDER BY duration_ns DESC
                LIMIT 10
            ) END AS rows
        ) AS deadlines
        CROSS JOIN total
        CROSS JOIN (
            SELECT
                array_agg(last_row) AS last_row, array_agg(service) AS service,
                array_agg(operation) AS operation, array_agg(span_id) AS span_id,
                array_agg(status) AS status, array_agg(started_at) AS started_at,
                array_agg(created_at) AS created_at, array_agg(offset_ns) AS offset_ns,
                array_agg(duration_ns) AS duration_ns, array_agg(self_time_ns) AS self_time_ns
            FROM (SELECT * FROM tree ORDER BY row_order) AS sorted
        ) AS own
        CROSS JOIN LATERAL trace_root_cause_slow(
            own.last_row, own.service, own.operation, own.span_id, own.status, own.started_at,
            own.created_at, own.offset_ns, own.duration_ns, own.self_time_ns, deadlines.rows
        ) AS spent
        WHERE CASE WHEN deadlines.rows IS NULL THEN total.ns > v_limits.gap_ns
            ELSE deadlines.rows <> '{}' END
    ),
    -- One operation again and again under one parent.
    repeated AS (
        SELECT
            parent_row, service, operation, count(*) AS calls,
            count(*) FILTER (WHERE is_failure) AS failures,
            coalesce(sum(duration_ns), 0) AS spent_ns,
            coalesce(bool_and(goes_on OR is_retried) FILTER (WHERE is_failure), false)
                AS is_recovered,
            coalesce(bool_and(is_retried) FILTER (WHERE is_failure), false) AS is_repaired,
            (array_agg(span_id ORDER BY row_order))[1:10] AS span_ids,
            (array_agg(span_id ORDER BY row_order) FILTER (WHERE is_failure))[1:10]
                AS failed_span_ids,
            min(row_order) AS row_order
        FROM spans
        WHERE parent_row IS NOT NULL
        GROUP BY parent_row, service, operation
        HAVING count(*) FILTER (WHERE is_failure) > v_limits.retry_failures
            OR count(*) > v_limits.storm_calls
    ),
    storms AS (
        SELECT
            repeated.*, above.span_id AS parent_span_id,
            trace_label(above.service, above.operation, above.span_id) AS parent_label,
            repeated.failures > v_limits.retry_failures AS is_failing
        FROM repeated
        CROSS JOIN total
        JOIN tree AS above ON above.row_order = repeated.parent_row
        WHERE repeated.failures > v_limits.retry_failures
           OR repeated.spent_ns > v_limits.dependency_share * total.ns
              AND (total.ns > v_limits.degradation_ns
                  OR EXISTS (SELECT FROM failures WHERE NOT is_recovered))
        ORDER BY repeated.failures DESC, repeated.calls DESC, repeated.row_order
        LIMIT 5
    ),
    -- As in diagnose_execution_trace: a batch's committed_at is the created_at of its spans.
    dropped AS MATERIALIZED (
        SELECT *
        FROM trace_dropped(
            ARRAY(SELECT DISTINCT created_at FROM tree),
            ARRAY(SELECT DISTINCT trace_id FROM tree WHERE status = 'started'),
            (SELECT started_at FROM total),
            (SELECT max(CASE status WHEN 'started' THEN now()
                 ELSE coalesce(completed_at, started_at) END) FROM tree)
        )
        WHERE spans > 0
    ),
    -- With what was recovered from weighed down: below all that was not, except that one whose
    -- caller merely went on may come before errors of no known kind.
    explicit AS (
        SELECT
            *,
            CASE
                WHEN NOT is_recovered THEN confidence
                ELSE greatest(
                    least(
                        confidence - 0.40,
                        CASE WHEN is_repaired OR type = 'UNKNOWN'
                            THEN min(confidence) FILTER (WHERE NOT is_recovered) OVER ()
                            ELSE min(confidence) FILTER (
                                WHERE NOT is_recovered AND type <> 'UNKNOWN') OVER ()
                        END - 0.05),
                    0.05)
            END AS weight
        FROM (
            SELECT
                type, coalesce(way_service, service) AS service,
                coalesce(way_operation, operation) AS operation,
                evidence || coalesce('; propagated to ' || reached.callers, '')
                    || coalesce('; pattern ' || quote_literal(own_pattern), '') AS evidence,
                confidence, is_recovered, is_repaired, span_ids, end_depth, weight_ns,
                failed.row_order, called, own_recommendation
            FROM failed
            LEFT JOIN reached ON reached.row_order = failed.row_order
            UNION ALL
            SELECT
                'RETRY_STORM', service, operation,
                CASE WHEN is_failing THEN format(
                    '%s failed %s of %s times under %s', trace_label(service, operation),
                    failures, calls, parent_label)
                ELSE format(
                    '%s was called %s times under %s, %s in all, of %s',
                    trace_label(service, operation), calls, parent_label,
                    trace_seconds(spent_ns), trace_seconds(total.ns))
                END,
                CASE WHEN is_failing THEN 0.40 ELSE 0.72 END,
                is_failing AND is_recovered, is_failing AND is_repaired,
                CASE WHEN is_failing THEN failed_span_ids ELSE span_ids END || parent_span_id,
                0, 0, storms.row_order, NULL, NULL
            FROM storms
            CROSS JOIN total
        ) AS known
    ),
    candidates AS (
        SELECT
            type, service, operation, evidence, weight AS confidence, span_ids, end_depth,
            weight_ns, row_order, called AS other_service, own_recommendation
        FROM explicit

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
            ) || CASE WHEN parent_row IS NULL
                THEN '; both have no parent, so that nobody is known to have waited' ELSE '' END
            || CASE WHEN total.is_partial
                THEN '; its trace is not sampled, so that one may that is not stored' ELSE '' END,
            CASE WHEN parent_row IS NULL OR total.is_partial THEN 0.40
                ELSE 0.75 + 0.20 * least(gap_ns / greatest(total.ns, 1)::numeric, 1) END
            -- An error that was seen explains more than a silence beside it.
            - CASE WHEN EXISTS (
                  SELECT FROM origins
                  WHERE NOT is_recovered
                    AND type NOT IN ('SERVICE_TIMEOUT', 'UNKNOWN')
              ) THEN 0.30 ELSE 0 END,
            ARRAY[from_span_id, to_span_id],
            0,
            gap_ns,
            to_row,
            parent_service,
            NULL
        FROM network_gaps
        CROSS JOIN total

        UNION ALL
        SELECT
            root_cause_type, affected_service, affected_operation, evidence, confidence, span_ids,
            0, self_ns, row_order, NULL, NULL
        FROM spenders

        UNION ALL
        SELECT
            'UNKNOWN', NULL, NULL,
            format('no span is recorded for %s %s',
                CASE WHEN p_trace_id IS NULL THEN 'execution' ELSE 'trace' END,
                coalesce(p_trace_id::text, p_execution_id::text)),
            0.00, ARRAY[]::uuid[], 0, 0, 0, NULL, NULL
        WHERE NOT EXISTS (SELECT FROM tree)
    ),
    -- That spans were lost, or left out, explains what is missing, never why something failed: behind
    -- all else.
    answers AS (
        SELECT * FROM candidates
        UNION ALL
        SELECT
            'SPANS_DROPPED', orphan.service, orphan.operation,
            format(
                'the writers of its spans lost %s in its time (%s): the cause may be among them%s',
                CASE dropped.spans WHEN 1 THEN '1 span' ELSE dropped.spans || ' spans' END,
                dropped.by_reason,
                coalesce('; the parent of ' || trace_label(orphan.service, orphan.operation,
                    orphan.span_id) || ' is missing', '')),
            least(0.20, greatest((SELECT min(confidence) FROM candidates) - 0.01, 0.01)),
            array_remove(ARRAY[orphan.span_id], NULL), -1, 0, 0, NULL, NULL
        FROM dropped
        LEFT JOIN (SELECT * FROM tree WHERE is_orphan ORDER BY row_order LIMIT 1) AS orphan
            ON true
        WHERE EXISTS (SELECT FROM candidates) OR orphan.span_id IS NOT NULL
        UNION ALL
        SELECT
            'TRACE_NOT_SAMPLED', NULL, NULL,
            'its trace is not sampled: of its spans those are stored that failed or took long, and '
            'those around them; the cause may be among the others',
            least(0.20, greatest((SELECT min(confidence) FROM candidates) - 0.01, 0.01)),
            ARRAY[]::uuid[], -2, 0, 0, NULL, NULL
        FROM total
        WHERE is_partial AND (EXISTS (SELECT FROM candidates)
            OR EXISTS (SELECT FROM tree WHERE is_orphan))
    )
    SELECT
        type,
        service,
        operation,
        evidence,
        coalesce(
            own_recommendation,
            trace_advice(type, service, operation, other_service, p_execution_id)),
        round(confidence, 2),
        (row_number() OVER ranking)::integer,
        span_ids
    FROM answers
    WINDOW ranking AS (
        ORDER BY
            round(confidence, 2) DESC, end_depth DESC, weight_ns DESC, row_order, type, service,
            operation
    )
    ORDER BY 7;
END
$$;

COMMENT ON FUNCTION trace_root_cause(bigint, uuid) IS
    'Ranked causes of the failure or slowness of an execution, or of one trace, with evidence and '
    'advice; the first row is the answer. No row: nothing is wrong. UNKNOWN: no cause can be told, '
    'or, with a NULL service, no span is recorded.';

REVOKE ALL ON FUNCTION trace_root_cause(bigint, uuid) FROM PUBLIC;
