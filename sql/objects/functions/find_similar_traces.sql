-- Executions that did the same, most similar first. The score lies between 0 and 1:
--
--   half      structure: weighted Jaccard of the call paths (names from the root to a span)
--   a fifth   order: edit distance of the sequences of operations in display order, of the first
--             spans each, as a share of the longer one
--   the rest  timing: exp(-d), d the mean distance of log durations over the common paths
--
-- Compared are the executions with the nearest ids, a bounded number of them with a bounded number
-- of spans, so that the time it takes does not grow with the table.
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
    v_candidates bigint[] := '{}';
    v_below bigint := p_execution_id;
    v_above bigint := p_execution_id;
BEGIN
    IF p_limit IS NULL OR p_limit < 0 THEN
        RAISE EXCEPTION 'p_limit must be 0 or more, not %', coalesce(p_limit::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_limits FROM trace_limits();

    -- From id to id through the index, rather than through the rows.
    FOR v_step IN 1..v_limits.similar_candidates / 2 LOOP
        SELECT max(execution_id) INTO v_below FROM trace_waterfall WHERE execution_id < v_below;
        SELECT min(execution_id) INTO v_above FROM trace_waterfall WHERE execution_id > v_above;
        EXIT WHEN v_below IS NULL AND v_above IS NULL;
        v_candidates := v_candidates || array_remove(ARRAY[v_below, v_above], NULL);
    END LOOP;
    SELECT array_agg(execution_id ORDER BY execution_id) INTO v_candidates
    FROM (
        SELECT
            execution_id,
            sum(count(*)) OVER (
                ORDER BY abs(execution_id::numeric - p_execution_id), execution_id
            ) AS spans
        FROM trace_waterfall WHERE execution_id = ANY (v_candidates)
        GROUP BY execution_id
    ) AS counted
    WHERE spans <= v_limits.similar_spans;

    RETURN QUERY
    WITH spans AS MATERIALIZED (
        SELECT candidate.execution_id AS of_execution, tree.*
        FROM unnest(p_execution_id || v_candidates) AS candidate (execution_id)
        CROSS JOIN LATERAL trace_tree(candidate.execution_id) AS tree
    ),
    features AS MATERIALIZED (
        SELECT
            of_execution, path_hash AS hash, count(*) AS number,
            avg(ln(1 + coalesce(duration_ns, 0) / 1e6)) AS log_ms
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
    'of each: status of its root, total duration, and the deepest span that did not complete.';

REVOKE ALL ON FUNCTION find_similar_traces(bigint, integer) FROM PUBLIC;
