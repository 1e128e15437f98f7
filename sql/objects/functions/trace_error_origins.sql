-- Where the errors of a window of time began, the earliest first: per trace the failed spans that
-- no failed span below can have caused, added up by service, operation and error type.
--
--   frontend    |=====================X|      failed for it: reached
--   search       .|==================X|.      the origin
--   index        ...|====X|............       failed below, and ended before: so it is the origin
--   log          ...............|=========X|  outlived its caller, who had given up: no cause
--
-- Whether a child outlived its parent is told by durations, which clocks of hosts cannot skew.
--
-- A span that timed out owned the deadline. Who spent it is the child that took more than half of
-- its time, and so on downwards: one that completed, or one that outlived it. That one is the
-- origin where it took longer than usual, by the other traces of the window; where there are none,
-- if it completed. In all other cases the deadline was too short, and its owner is.
CREATE OR REPLACE FUNCTION trace_error_origins(
    p_from timestamptz, p_to timestamptz, p_limit integer DEFAULT 10
)
RETURNS TABLE (
    service text,
    operation text,
    error_type text,
    error_message text,
    first_failed_at timestamptz,
    traces bigint,
    failures bigint,
    evidence text,
    reached text[],
    span_ids uuid[],
    trace_id uuid,
    rank integer
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
    c_depth CONSTANT integer := 100;
    v_limits record;
    v_traces uuid[];
BEGIN
    IF p_limit IS NULL OR p_limit < 0 THEN
        RAISE EXCEPTION 'p_limit must be 0 or more, not %', coalesce(p_limit::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_limits FROM trace_limits;
    p_from := greatest(p_from, '0001-01-01');
    p_to := least(p_to, '9999-12-31');
    -- The first that failed: a cause comes before its effects.
    SELECT array_agg(DISTINCT trace_id) INTO v_traces
    FROM (
        SELECT trace_id
        FROM trace_spans
        WHERE started_at >= p_from AND started_at < p_to AND status IN ('failed', 'timeout')
        ORDER BY started_at
        LIMIT v_limits.origin_failures
    ) AS failed;
    IF v_traces IS NULL THEN
        RETURN;
    END IF;

    RETURN QUERY
    WITH RECURSIVE spans AS MATERIALIZED (
        SELECT DISTINCT ON (trace_id, span_id)
            trace_id, span_id, parent_span_id, service, operation, started_at, status, error_type,
            error_message, duration_ns, status IN ('failed', 'timeout') AS has_failed
        FROM trace_stored_spans
        WHERE trace_id = ANY (v_traces)
        ORDER BY trace_id, span_id, started_at, duration_ns
    ),
    children AS MATERIALIZED (
        SELECT
            child.*, parent.span_id AS of_span_id, parent.duration_ns AS parent_ns,
            parent.has_failed AS parent_has_failed,
            coalesce(child.duration_ns > parent.duration_ns, false) AS outlives
        FROM spans AS child
        JOIN spans AS parent
            ON parent.trace_id = child.trace_id AND parent.span_id = child.parent_span_id
            AND parent.span_id <> child.span_id
    ),
    causes AS (
        SELECT DISTINCT trace_id, of_span_id FROM children
        WHERE has_failed AND NOT (parent_has_failed AND outlives)
    ),
    errors AS MATERIALIZED (
        SELECT texts.applies_to, texts.error, pattern.root_cause_type
        FROM (
            SELECT DISTINCT 'type' AS applies_to, error_type AS error FROM spans WHERE has_failed
            UNION ALL
            SELECT DISTINCT 'message', error_message FROM spans WHERE has_failed
        ) AS texts
        CROSS JOIN LATERAL trace_match_error(texts.applies_to, texts.error) AS pattern
    ),
    leaves AS MATERIALIZED (
        SELECT
            spans.*,
            spans.status = 'timeout'
                OR coalesce(by_type.root_cause_type, by_text.root_cause_type, '')
                    = 'SERVICE_TIMEOUT' AS is_timeout
        FROM spans
        LEFT JOIN causes ON causes.trace_id = spans.trace_id AND causes.of_span_id = spans.span_id
        -- Below a parent that had given up before it failed.
        LEFT JOIN children AS given_up
            ON given_up.trace_id = spans.trace_id AND given_up.span_id = spans.span_id
            AND given_up.parent_has_failed AND given_up.outlives
        LEFT JOIN errors AS by_type
            ON by_type.applies_to = 'type' AND by_type.error = spans.error_type
        LEFT JOIN errors AS by_text
            ON by_text.applies_to = 'message' AND by_text.error = spans.error_message
        WHERE spans.has_failed AND causes.of_span_id IS NULL AND given_up.span_id IS NULL
    ),
    -- From the deadline's owner downwards, along the child that took most of it.
    spenders AS (
        SELECT
            trace_id, span_id AS deadline_span_id, duration_ns AS deadline_ns, span_id, service,
            operation, duration_ns, has_failed, 0 AS depth, ARRAY[span_id] AS path
        FROM leaves
        WHERE is_timeout AND duration_ns > 0
        UNION ALL
        SELECT *
        FROM (
            SELECT DISTINCT ON (above.trace_id, above.deadline_span_id)
                above.trace_id, above.deadline_span_id, above.deadline_ns, child.span_id,
                child.service, child.operation, child.duration_ns, child.has_failed,
                above.depth + 1, above.path || child.span_id
            FROM spenders AS above
            JOIN children AS child
                ON child.trace_id = above.trace_id AND child.of_span_id = above.span_id
            WHERE above.depth < c_depth
              AND child.span_id <> ALL (above.path)
              AND child.duration_ns > v_limits.dependency_share * above.deadline_ns
              AND (child.status = 'completed' OR child.outlives)
            ORDER BY above.trace_id, above.deadline_span_id, child.duration_ns DESC, child.span_id
        ) AS longest
    ),
    spent AS (
        SELECT DISTINCT ON (trace_id, deadline_span_id) *
        FROM spenders
        WHERE depth > 0
        ORDER BY trace_id, deadline_span_id, depth DESC
    ),
    usual AS MATERIALIZED (
        SELECT
            service, operation, trace_id, duration_ns
        FROM trace_stored_spans
        WHERE started_at >= p_from AND started_at < p_to AND status = 'completed'
          AND (service, operation) IN (SELECT service, operation FROM spent)
    ),
    judged AS (
        SELECT
            spent.trace_id, spent.deadline_span_id, min(spent.span_id::text)::uuid AS span_id,
            min(spent.duration_ns) AS duration_ns, count(usual.duration_ns) AS samples,
            (percentile_cont(0.5) WITHIN GROUP (ORDER BY usual.duration_ns))::numeric AS usual_ns,
            bool_or(spent.has_failed) AS has_failed
        FROM spent
        LEFT JOIN usual
            ON usual.service = spent.service AND usual.operation = spent.operation
            AND usual.trace_id <> spent.trace_id
        GROUP BY spent.trace_id, spent.deadline_span_id
    ),
    origins AS (
        SELECT
            leaves.trace_id, coalesce(spender.span_id, leaves.span_id) AS span_id,
            coalesce(spender.service, leaves.service) AS service,
            coalesce(spender.operation, leaves.operation) AS operation,
            leaves.error_type, leaves.error_message, leaves.span_id AS failed_span_id,
            leaves.started_at
                + make_interval(secs => coalesce(leaves.duration_ns, 0) / 1e9) AS failed_at,
            CASE
                WHEN spender.span_id IS NULL THEN format(
                    '%s %s%s%s',
                    trace_label(leaves.service, leaves.operation, leaves.span_id),
                    CASE WHEN leaves.status = 'timeout' THEN 'timed out' ELSE 'failed' END,
                    coalesce(' after ' || trace_seconds(leaves.duration_ns), ''),
                    coalesce(': ' || nullif(concat_ws(': ', leaves.error_type,
                        left(leaves.error_message, 300)), ''), ''))
                ELSE format(
                    '%s took %s of the %s after which %s timed out; %s',
                    trace_label(spender.service, spender.operation, spender.span_id),
                    trace_seconds(judged.duration_ns), trace_seconds(leaves.duration_ns),
                    trace_label(leaves.service, leaves.operation, leaves.span_id),
                    CASE WHEN judged.samples = 0 THEN 'how long it takes usually is not known'
                        ELSE format('usually %s, by %s spans of other traces',
                            trace_seconds(judged.usual_ns), judged.samples) END)
            END || CASE
                WHEN judged.span_id IS NOT NULL AND spender.span_id IS NULL AND judged.samples > 0
                    THEN format('; what it waited for took %s, usually %s, by %s spans of other '
                        'traces: the deadline is short', trace_seconds(judged.duration_ns),
                        trace_seconds(judged.usual_ns), judged.samples)
                ELSE ''
            END AS said
        FROM leaves
        LEFT JOIN judged
            ON judged.trace_id = leaves.trace_id AND judged.deadline_span_id = leaves.span_id
        LEFT JOIN spans AS spender
            ON spender.trace_id = judged.trace_id AND spender.span_id = judged.span_id
            AND CASE WHEN judged.samples > 0
                THEN judged.duration_ns > v_limits.slow_factor * judged.usual_ns
                ELSE NOT judged.has_failed END
    ),
    -- Which services failed in the same traces; not the origin's own.
    reached AS (
        SELECT
            origins.service, origins.operation, origins.error_type,
            array_agg(DISTINCT failed.service) AS services
        FROM (SELECT DISTINCT service, operation, error_type, trace_id FROM origins) AS origins
        JOIN (SELECT DISTINCT trace_id, service FROM spans WHERE has_failed) AS failed
            ON failed.trace_id = origins.trace_id AND failed.service <> origins.service
        GROUP BY origins.service, origins.operation, origins.error_type
    ),
    grouped AS (
        SELECT
            service, operation, error_type,
            (array_agg(error_message ORDER BY failed_at, failed_span_id))[1] AS error_message,
            min(failed_at) AS first_failed_at,
            count(DISTINCT trace_id) AS traces, count(*) AS failures,
            (array_agg(said ORDER BY failed_at, failed_span_id))[1] AS evidence,
            (array_agg(span_id ORDER BY failed_at, failed_span_id))[1:10] AS span_ids,
            (array_agg(trace_id ORDER BY failed_at, failed_span_id))[1] AS trace_id
        FROM origins
        GROUP BY service, operation, error_type
    )
    SELECT
        grouped.service, grouped.operation, grouped.error_type, grouped.error_message,
        grouped.first_failed_at, grouped.traces, grouped.failures,
        grouped.evidence
            || CASE WHEN failures > 1
                THEN format('; %s times in %s traces', failures, traces) ELSE '' END
            || coalesce('; reached ' || nullif(array_to_string(affected.services, ', '), ''), ''),
        coalesce(affected.services, '{}'),
        grouped.span_ids, grouped.trace_id,
        (row_number() OVER (
            ORDER BY first_failed_at, failures DESC, grouped.service, grouped.operation,
                grouped.error_type))::integer
    FROM grouped
    LEFT JOIN reached AS affected
        ON affected.service = grouped.service AND affected.operation = grouped.operation
        AND coalesce(affected.error_type, '') = coalesce(grouped.error_type, '')
    ORDER BY 12
    LIMIT p_limit;
END
$$;

COMMENT ON FUNCTION trace_error_origins(timestamptz, timestamptz, integer) IS
    'Where the errors of a window of time began, earliest first: service, operation and error type '
    'of the failed spans that no failure below explains, with the services that they reached. No '
    'row: nothing failed.';

REVOKE ALL ON FUNCTION trace_error_origins(timestamptz, timestamptz, integer) FROM PUBLIC;
