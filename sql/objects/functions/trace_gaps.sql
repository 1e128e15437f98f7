-- Where an execution's time is covered by no span: per parent, what the union of its children
-- leaves uncovered between its start and its end.
--
--   lead      from the parent's start to its first child's start
--   between   from the end of the last of the earlier siblings to the next one's start
--   tail      from the end of the last child to the parent's end
--   overflow  not a gap: the time by which a child outlives its parent
--
-- Between roots, which have no parent, there is only "between". A gap in front of a child that
-- starts after its parent's end lasts until that end.
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
        SELECT
            CASE WHEN tree.gap_before_row = tree.parent_row THEN 'lead' ELSE 'between' END AS kind,
            tree.gap_before_row AS from_row, tree.row_order AS to_row, tree.parent_row,
            least(tree.offset_ns, above.offset_ns + above.duration_ns) - tree.gap_before_ns
                AS offset_ns,
            tree.gap_before_ns AS gap_ns
        FROM tree
        LEFT JOIN tree AS above ON above.row_order = tree.parent_row
        WHERE tree.gap_before_ns > 0 AND tree.gap_before_row IS NOT NULL
        UNION ALL
        SELECT
            'tail', tail_gap_row, row_order, row_order,
            offset_ns + duration_ns - tail_gap_ns, tail_gap_ns
        FROM tree
        WHERE tail_gap_ns > 0 AND tail_gap_row IS NOT NULL
        UNION ALL
        SELECT
            'overflow', row_order, parent_row, parent_row,
            offset_ns + duration_ns - overflow_ns, overflow_ns
        FROM tree
        WHERE overflow_ns > 0 AND parent_row IS NOT NULL
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
