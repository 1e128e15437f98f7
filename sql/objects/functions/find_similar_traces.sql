-- Executions that did the same, most similar first. The score lies between 0 and 1:
--
--   half      structure: weighted Jaccard of the call paths (names from the root to a span)
--   a fifth   order: edit distance of the sequences of operations in display order, of the first
--             spans each, as a share of the longer one
--   the rest  timing: exp(-d), d the mean distance of log durations over the common paths
--
-- Of the executions with the nearest ids those are compared whose summaries are most alike. Both
-- numbers are bounded, and so are the spans, so that the time it takes does not grow with the table.
CREATE OR REPLACE FUNCTION find_similar_traces(p_execution_id bigint, p_limit integer DEFAULT 5)
RETURNS TABLE (
    similar_execution_id bigint,
    similarity_score numeric,
    status text,
    total_duration_ms bigint,
    failure_point text,
    structure_score numeric,
    order_score numeric,
    timing_score numeric,
    started_at timestamptz
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
    v_own trace_execution_summaries;
    v_candidates bigint[];
    v_bounds text;
    v_members bigint[];  -- who has spans in a trace,
    v_traces uuid[];     -- and in which
    v_spans trace_waterfall[];
BEGIN
    IF p_limit IS NULL OR p_limit < 0 THEN
        RAISE EXCEPTION 'p_limit must be 0 or more, not %', coalesce(p_limit::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_limits FROM trace_limits;

    SELECT * INTO v_own FROM trace_execution_summaries WHERE execution_id = p_execution_id;
    WITH near AS (
        (
            SELECT
                execution_id, started_at, ended_at, spans, root_duration_ns, root_service,
                root_operation, services
            FROM trace_execution_summaries WHERE execution_id < p_execution_id
            ORDER BY execution_id DESC LIMIT v_limits.similar_pool / 2
        )
        UNION ALL
        (
            SELECT
                execution_id, started_at, ended_at, spans, root_duration_ns, root_service,
                root_operation, services
            FROM trace_execution_summaries WHERE execution_id > p_execution_id
            ORDER BY execution_id LIMIT v_limits.similar_pool / 2
        )
        UNION ALL
        (
            -- Those of which nothing has ended yet.
            SELECT
                execution_id, min(started_at), max(started_at), count(*), NULL, NULL, NULL,
                array_agg(DISTINCT service)
            FROM trace_open_spans AS open
            WHERE execution_id <> p_execution_id
              AND NOT EXISTS (
                  SELECT FROM trace_execution_summaries AS summaries
                  WHERE summaries.execution_id = open.execution_id
              )
            GROUP BY execution_id
            ORDER BY abs(execution_id::numeric - p_execution_id) LIMIT v_limits.similar_pool / 2
        )
    ),
    chosen AS (
        SELECT
            *,
            (root_service = v_own.root_service AND root_operation = v_own.root_operation)::integer
                + (services @> v_own.services AND services <@ v_own.services)::integer
                - abs(ln(greatest(spans, 1)::double precision)
                    - ln(greatest(v_own.spans, 1)::double precision))
                - abs(ln(1 + greatest(root_duration_ns, 0) / 1e6::double precision)
                    - ln(1 + greatest(v_own.root_duration_ns, 0) / 1e6::double precision))
                AS likeness,
            abs(execution_id::numeric - p_execution_id) AS distance
        FROM near
        ORDER BY likeness DESC NULLS LAST, distance, execution_id
        LIMIT v_limits.similar_candidates
    )
    SELECT
        array_agg(execution_id ORDER BY likeness DESC NULLS LAST, distance, execution_id),
        -- As constants, so that other days' partitions are not even planned for.
        format(
            'started_at >= %L AND started_at <= %L',
            -- Behind these, intervals cannot be added.
            greatest(min(started_at), '0001-01-01') - interval '1 day',
            least(max(ended_at), '9999-12-31') + interval '1 day')
    INTO v_candidates, v_bounds
    FROM chosen;

    LOOP
        EXIT WHEN coalesce(cardinality(v_candidates), 0) = 0;
        EXECUTE
            'SELECT array_agg(execution_id), array_agg(trace_id)
             FROM (
                 SELECT DISTINCT execution_id, trace_id FROM trace_waterfall
                 WHERE execution_id = ANY ($1) AND ' || v_bounds || '
             ) AS members'
        INTO v_members, v_traces USING v_candidates;
        EXECUTE
            'SELECT array_agg(spans)
             FROM (
                 SELECT * FROM trace_waterfall WHERE trace_id = ANY ($1) AND ' || v_bounds || '
                 LIMIT $2
             ) AS spans'
        INTO v_spans USING v_traces, v_limits.similar_spans + 1;
        -- A trace that many executions share counts for each of them.
        EXIT WHEN v_limits.similar_spans >= (
            SELECT count(*)
            FROM unnest(v_traces) AS members (trace_id)
            JOIN unnest(v_spans) AS spans ON spans.trace_id = members.trace_id
        );
        v_candidates := v_candidates[1:cardinality(v_candidates) / 2];
        v_members := NULL;
        v_traces := NULL;
        v_spans := NULL;
    END LOOP;

    RETURN QUERY
    WITH grouped AS MATERIALIZED (
        SELECT
            members.execution_id,
            array_agg(
                spans
                ORDER BY spans.started_at, spans.span_id, spans.duration_ns, spans.status,
                    spans.created_at
            ) AS spans
        FROM unnest(v_members, v_traces) AS members (execution_id, trace_id)
        JOIN unnest(v_spans) AS spans ON spans.trace_id = members.trace_id
        GROUP BY members.execution_id
    ),
    spans AS MATERIALIZED (
        SELECT p_execution_id AS of_execution, tree.* FROM trace_tree(p_execution_id) AS tree
        UNION ALL
        SELECT grouped.execution_id, forest.*
        FROM grouped
        CROSS JOIN LATERAL trace_forest(grouped.spans, grouped.execution_id) AS forest
    ),
    features AS MATERIALIZED (
        SELECT
            of_execution, path_hash AS hash, count(*) AS number,
            avg(ln(1 + greatest(duration_ns, 0) / 1e6)) AS log_ms
        FROM spans GROUP BY of_execution, path_hash
    ),
    sequences AS MATERIALIZED (
        SELECT
            of_execution, count(*) AS number,
            (array_agg(path_hash ORDER BY row_order))[1:v_limits.order_positions] AS paths
        FROM spans GROUP BY of_execution
    ),
    common AS (
        SELECT
            theirs.of_execution,
            sum(least(ours.number, theirs.number)) AS number,
            exp(-avg(abs(ours.log_ms - theirs.log_ms))) AS timing
        FROM features AS ours
        JOIN features AS theirs ON theirs.hash = ours.hash
        WHERE ours.of_execution = p_execution_id AND theirs.of_execution <> p_execution_id
        GROUP BY theirs.of_execution
    ),
    scores AS (
        SELECT
            common.of_execution,
            common.number / (ours.number + theirs.number - common.number) AS structure,
            1 - trace_edit_distance(ours.paths, theirs.paths)::numeric
                / greatest(cardinality(ours.paths), cardinality(theirs.paths)) AS ordering,
            common.timing
        FROM common
        JOIN sequences AS ours ON ours.of_execution = p_execution_id
        JOIN sequences AS theirs ON theirs.of_execution = common.of_execution
    ),
    summaries AS (
        SELECT
            of_execution,
            (array_agg(status ORDER BY row_order))[1] AS status,
            max(offset_ns + duration_ns) AS total_ns,
            (array_agg(trace_label(service, operation) ORDER BY depth DESC, row_order)
                FILTER (WHERE status <> 'completed'))[1] AS failure_point,
            min(started_at) AS started_at
        FROM spans
        GROUP BY of_execution
    )
    SELECT
        scores.of_execution,
        round((0.5 * structure + 0.2 * ordering + 0.3 * timing)::numeric, 4) AS score,
        summaries.status,
        round(summaries.total_ns / 1e6)::bigint,
        summaries.failure_point,
        round(structure, 4),
        round(ordering, 4),
        round(timing::numeric, 4),
        summaries.started_at
    FROM scores
    JOIN summaries ON summaries.of_execution = scores.of_execution
    ORDER BY score DESC, abs(scores.of_execution::numeric - p_execution_id), scores.of_execution
    LIMIT p_limit;
END
$$;

COMMENT ON FUNCTION find_similar_traces(bigint, integer) IS
    'Other executions by similarity of structure, order and timing, best first, with the outcome '
    'of each: status of its root, total duration, and the deepest span that did not complete. Rows '
    'by other writers are compared after trace_maintain().';

REVOKE ALL ON FUNCTION find_similar_traces(bigint, integer) FROM PUBLIC;
