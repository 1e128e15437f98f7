-- How far the clocks of services seem to be apart, as Jaeger's adjuster guesses it. Nothing is
-- rewritten: the recorded start and the adjusted one stand side by side.
-- trace_tree_skew() says by which rules.
CREATE OR REPLACE FUNCTION trace_clock_skew(p_execution_id bigint, p_trace_id uuid DEFAULT NULL)
RETURNS TABLE (
    row_order integer,
    depth integer,
    trace_id uuid,
    span_id uuid,
    parent_span_id uuid,
    service text,
    operation text,
    started_at timestamptz,
    adjusted_started_at timestamptz,
    shift_ns bigint,
    offset_ns bigint,
    adjusted_offset_ns bigint,
    duration_ns bigint,
    parent_row integer,
    parent_service text,
    reason text
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET enable_nestloop = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH tree AS MATERIALIZED (
        SELECT * FROM trace_tree(p_execution_id, p_trace_id)
    ),
    skew AS (
        SELECT answer.*
        FROM (
            SELECT
                array_agg(parent_row ORDER BY row_order) AS parent_row,
                array_agg(service ORDER BY row_order) AS service,
                array_agg(status ORDER BY row_order) AS status,
                array_agg(started_at ORDER BY row_order) AS started_at,
                array_agg(completed_at ORDER BY row_order) AS completed_at,
                array_agg(offset_ns ORDER BY row_order) AS offset_ns,
                array_agg(duration_ns ORDER BY row_order) AS duration_ns
            FROM tree
        ) AS spans
        CROSS JOIN LATERAL trace_tree_skew(
            parent_row, service, status, started_at, completed_at, offset_ns, duration_ns
        ) AS answer
    )
    SELECT
        tree.row_order, tree.depth, tree.trace_id, tree.span_id, tree.parent_span_id, tree.service,
        tree.operation, tree.started_at,
        -- NULL where the calendar ends.
        CASE WHEN tree.started_at BETWEEN '4600-01-01 BC' AND '290000-01-01' THEN
            tree.started_at + make_interval(secs => skew.shift_ns / 1e9)
        END,
        skew.shift_ns, tree.offset_ns, tree.offset_ns + skew.shift_ns, skew.length_ns,
        tree.parent_row, above.service, skew.reason
    FROM tree
    JOIN skew ON skew.row_order = tree.row_order
    LEFT JOIN tree AS above ON above.row_order = tree.parent_row
    ORDER BY tree.row_order;
END
$$;

COMMENT ON FUNCTION trace_clock_skew(bigint, uuid) IS
    'Every span of an execution, or of one trace, with its recorded start and the one it would have '
    'if its service''s clock agreed with its parent''s; shift_ns is 0 where it fits as recorded, '
    'reason says why it does not. Changes nothing.';

REVOKE ALL ON FUNCTION trace_clock_skew(bigint, uuid) FROM PUBLIC;
