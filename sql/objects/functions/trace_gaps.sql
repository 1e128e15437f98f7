-- Where an execution's time is covered by no span: per parent, what the union of its children
-- leaves uncovered between its start and its end.
-- trace_tree_gaps() names the kinds.
CREATE OR REPLACE FUNCTION trace_gaps(p_execution_id bigint, p_trace_id uuid DEFAULT NULL)
RETURNS TABLE (
    kind text,
    gap_ms integer,
    started_at timestamptz,
    ended_at timestamptz,
    from_service text,
    from_operation text,
    to_service text,
    to_operation text,
    between_services boolean,
    from_span_id uuid,
    to_span_id uuid,
    trace_id uuid,
    parent_span_id uuid,
    offset_ns bigint,
    gap_ns bigint,
    from_row integer,
    to_row integer,
    parent_row integer
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
BEGIN
    RETURN QUERY
    WITH tree AS MATERIALIZED (
        SELECT * FROM trace_tree(p_execution_id, p_trace_id)
    ),
    gaps AS (
        SELECT answer.*
        FROM (
            SELECT
                array_agg(parent_row ORDER BY row_order) AS parent_row,
                array_agg(offset_ns ORDER BY row_order) AS offset_ns,
                array_agg(duration_ns ORDER BY row_order) AS duration_ns,
                array_agg(gap_before_ns ORDER BY row_order) AS gap_before_ns,
                array_agg(gap_before_row ORDER BY row_order) AS gap_before_row,
                array_agg(tail_gap_ns ORDER BY row_order) AS tail_gap_ns,
                array_agg(tail_gap_row ORDER BY row_order) AS tail_gap_row,
                array_agg(overflow_ns ORDER BY row_order) AS overflow_ns
            FROM tree
        ) AS spans
        CROSS JOIN LATERAL trace_tree_gaps(
            parent_row, offset_ns, duration_ns, gap_before_ns, gap_before_row, tail_gap_ns,
            tail_gap_row, overflow_ns
        ) AS answer
    ),
    origin AS (
        SELECT min(tree.started_at) AS started_at FROM tree
    )
    SELECT
        gaps.kind,
        least(round(gaps.gap_ns / 1e6), 2147483647)::integer,
        origin.started_at + make_interval(secs => gaps.offset_ns / 1e9),
        origin.started_at + make_interval(secs => (gaps.offset_ns + gaps.gap_ns) / 1e9),
        opening.service,
        opening.operation,
        closing.service,
        closing.operation,
        opening.service <> closing.service,
        opening.span_id,
        closing.span_id,
        closing.trace_id,
        parent.span_id,
        gaps.offset_ns,
        gaps.gap_ns,
        gaps.from_row,
        gaps.to_row,
        gaps.parent_row
    FROM gaps
    CROSS JOIN origin
    JOIN tree AS opening ON opening.row_order = gaps.from_row
    JOIN tree AS closing ON closing.row_order = gaps.to_row
    LEFT JOIN tree AS parent ON parent.row_order = gaps.parent_row
    ORDER BY gaps.offset_ns, gaps.gap_ns DESC, gaps.to_row, gaps.kind;
END
$$;

COMMENT ON FUNCTION trace_gaps(bigint, uuid) IS
    'Times of an execution, or of one trace, that no span covers (lead, between, tail), and times '
    'by which children outlive their parents (overflow), with the spans at both ends.';

REVOKE ALL ON FUNCTION trace_gaps(bigint, uuid) FROM PUBLIC;
