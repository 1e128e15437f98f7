-- What trace_gaps() is of stored spans, of rows of trace_tree, given as arrays of its columns: per
-- parent, what the union of its children leaves uncovered between its start and its end.
--
--   lead      from the parent's start to its first child's start
--   between   from the end of the last of the earlier siblings to the next one's start
--   tail      from the end of the last child to the parent's end
--   overflow  not a gap: the time by which a child outlives its parent
--
-- Between roots, which have no parent, there is only "between". A gap in front of a child that
-- starts after its parent's end lasts until that end.
CREATE OR REPLACE FUNCTION trace_tree_gaps(
    p_parent_row integer[],
    p_offset_ns bigint[],
    p_duration_ns bigint[],
    p_gap_before_ns bigint[],
    p_gap_before_row integer[],
    p_tail_gap_ns bigint[],
    p_tail_gap_row integer[],
    p_overflow_ns bigint[]
)
RETURNS TABLE (
    kind text,
    from_row integer,
    to_row integer,
    parent_row integer,
    offset_ns bigint,
    gap_ns bigint
)
LANGUAGE plpgsql
IMMUTABLE
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
        SELECT *
        FROM unnest(
            p_parent_row, p_offset_ns, p_duration_ns, p_gap_before_ns, p_gap_before_row,
            p_tail_gap_ns, p_tail_gap_row, p_overflow_ns
        ) WITH ORDINALITY AS spans (
            parent_row, offset_ns, duration_ns, gap_before_ns, gap_before_row, tail_gap_ns,
            tail_gap_row, overflow_ns, n)
    ),
    gaps AS (
        SELECT
            CASE WHEN tree.gap_before_row = tree.parent_row THEN 'lead' ELSE 'between' END AS kind,
            tree.gap_before_row AS from_row, tree.n AS to_row, tree.parent_row,
            least(tree.offset_ns, above.offset_ns + above.duration_ns) - tree.gap_before_ns
                AS offset_ns,
            tree.gap_before_ns AS gap_ns
        FROM tree
        LEFT JOIN tree AS above ON above.n = tree.parent_row
        WHERE tree.gap_before_ns > 0 AND tree.gap_before_row IS NOT NULL
        UNION ALL
        SELECT 'tail', tail_gap_row, n, n, offset_ns + duration_ns - tail_gap_ns, tail_gap_ns
        FROM tree
        WHERE tail_gap_ns > 0 AND tail_gap_row IS NOT NULL
        UNION ALL
        SELECT
            'overflow', n, parent_row, parent_row, offset_ns + duration_ns - overflow_ns,
            overflow_ns
        FROM tree
        WHERE overflow_ns > 0 AND parent_row IS NOT NULL
    )
    SELECT kind, from_row::integer, to_row::integer, parent_row::integer, offset_ns, gap_ns
    FROM gaps
    ORDER BY offset_ns, gap_ns DESC, to_row, kind;
END
$$;

COMMENT ON FUNCTION trace_tree_gaps(
    integer[], bigint[], bigint[], bigint[], integer[], bigint[], integer[], bigint[]) IS
    'The gaps of rows of trace_tree(), given as arrays of its columns in display order, by row. See '
    'trace_gaps().';

REVOKE ALL ON FUNCTION trace_tree_gaps(
    integer[], bigint[], bigint[], bigint[], integer[], bigint[], integer[], bigint[])
FROM PUBLIC;
