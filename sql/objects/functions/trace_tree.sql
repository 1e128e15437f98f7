-- The spans of an execution, or of one trace, as a forest in display order.
--
-- An execution's spans are those with its execution_id, what lies below them, and the spans of the
-- same traces that carry no execution_id and do not lie below another execution's.
CREATE OR REPLACE FUNCTION trace_tree(p_execution_id bigint, p_trace_id uuid DEFAULT NULL)
RETURNS TABLE (
    row_order integer,
    depth integer,
    trace_id uuid,
    span_id uuid,
    parent_span_id uuid,
    service text,
    operation text,
    started_at timestamptz,
    completed_at timestamptz,
    duration_ms integer,
    status text,
    job_id text,
    execution_id bigint,
    model_id text,
    region text,
    metadata jsonb,
    error_message text,
    duration_ns bigint,
    error_type text,
    offset_ns bigint,
    self_time_ns bigint,
    gap_before_ns bigint,
    gap_before_row integer,
    tail_gap_ns bigint,
    tail_gap_row integer,
    overflow_ns bigint,
    parent_row integer,
    last_row integer,
    is_root boolean,
    is_orphan boolean,
    path_hash bigint,
    created_at timestamptz
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET enable_nestloop = off
SET jit = off
-- What is planned once is planned for any execution; the rest is planned each time anyway.
SET plan_cache_mode = force_generic_plan
-- Times become text and time again.
SET datestyle = 'ISO'
AS $$
#variable_conflict use_column
DECLARE
    v_since timestamptz;
    v_until timestamptz;
    v_bounds text;
    v_traces uuid[];
    v_spans trace_waterfall[];
BEGIN
    SELECT since, until INTO v_since, v_until FROM trace_time_range(p_execution_id, p_trace_id);
    LOOP
        -- With the bounds as constants, so that other days' partitions are not even planned for;
        -- and past trace_waterfall, whose planning would take longer than all else.
        v_bounds := format('started_at >= %L AND started_at <= %L', v_since, v_until);
        IF p_trace_id IS NOT NULL THEN
            v_traces := ARRAY[p_trace_id];
        ELSE
            EXECUTE
                'SELECT array_agg(DISTINCT trace_id)
                 FROM (
                     SELECT trace_id FROM trace_spans WHERE execution_id = $1 AND ' || v_bounds || '
                     UNION ALL
                     SELECT trace_id FROM trace_open_spans WHERE execution_id = $1
                 ) AS spans'
            INTO v_traces USING p_execution_id;
        END IF;
        EXECUTE
            'SELECT array_agg(ROW(spans.*)::trace_waterfall) FROM trace_stored_spans AS spans
             WHERE trace_id = ANY ($1) AND ' || v_bounds
        INTO v_spans USING v_traces;
        SELECT
            array_agg(
                ROW(spans.*)::trace_waterfall
                ORDER BY started_at, span_id, duration_ns, status, created_at)
        INTO v_spans
        FROM (
            SELECT * FROM unnest(v_spans)
            UNION ALL
            SELECT * FROM trace_running_spans WHERE trace_id = ANY (v_traces)
        ) AS spans;
        EXIT WHEN v_spans IS NOT NULL OR v_since = '-infinity' AND v_until = 'infinity';
        v_since := '-infinity';
        v_until := 'infinity';
    END LOOP;
    RETURN QUERY SELECT *
    FROM trace_forest(v_spans, CASE WHEN p_trace_id IS NULL THEN p_execution_id END);
END
$$;

COMMENT ON FUNCTION trace_tree(bigint, uuid) IS
    'Spans of an execution, or of one trace, in display order: row_order and depth; self time and '
    'gaps from the union of the children''s intervals; parent_row, last_row of the subtree; '
    'gap_before_row and tail_gap_row are the rows at which the gaps open; path_hash stands for the '
    'names from the root. Orphans and cut cycles are roots; an open span has no self time.';

REVOKE ALL ON FUNCTION trace_tree(bigint, uuid) FROM PUBLIC;
