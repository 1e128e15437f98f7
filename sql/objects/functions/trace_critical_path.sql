-- What an execution, or one trace, waited for: per root a chain of segments without a hole, from
-- the root's start to its end. Shortening a span off the path would not have ended the root sooner.
-- trace_tree_path() says how it is found.
CREATE OR REPLACE FUNCTION trace_critical_path(p_execution_id bigint, p_trace_id uuid DEFAULT NULL)
RETURNS TABLE (
    segment integer,
    offset_ns bigint,
    length_ns bigint,
    started_at timestamptz,
    ended_at timestamptz,
    span_id uuid,
    trace_id uuid,
    service text,
    operation text,
    status text,
    row_order integer,
    depth integer,
    root_row integer,
    root_span_id uuid,
    is_main_root boolean
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
    path AS (
        SELECT answer.*
        FROM (
            SELECT
                array_agg(parent_row ORDER BY row_order) AS parent_row,
                array_agg(status ORDER BY row_order) AS status,
                array_agg(started_at ORDER BY row_order) AS started_at,
                array_agg(completed_at ORDER BY row_order) AS completed_at,
                array_agg(offset_ns ORDER BY row_order) AS offset_ns,
                array_agg(duration_ns ORDER BY row_order) AS duration_ns
            FROM tree
        ) AS spans
        CROSS JOIN LATERAL trace_tree_path(
            parent_row, status, started_at, completed_at, offset_ns, duration_ns
        ) AS answer
    )
    SELECT
        path.segment,
        path.offset_ns,
        path.length_ns,
        -- NULL where the calendar ends.
        CASE WHEN tree.started_at BETWEEN '4600-01-01 BC' AND '290000-01-01' THEN
            tree.started_at + make_interval(secs => (path.offset_ns - tree.offset_ns) / 1e9)
        END,
        CASE WHEN tree.started_at BETWEEN '4600-01-01 BC' AND '290000-01-01' THEN
            tree.started_at
                + make_interval(secs => (path.offset_ns - tree.offset_ns + path.length_ns) / 1e9)
        END,
        tree.span_id,
        tree.trace_id,
        tree.service,
        tree.operation,
        tree.status,
        path.row_order,
        tree.depth,
        path.root_row,
        root.span_id,
        path.is_main_root
    FROM path
    JOIN tree ON tree.row_order = path.row_order
    JOIN tree AS root ON root.row_order = path.root_row
    ORDER BY path.root_row, path.segment;
END
$$;

COMMENT ON FUNCTION trace_critical_path(bigint, uuid) IS
    'The chain of segments that decided how long each root of an execution, or of one trace, took, '
    'in order of time. A root''s lengths sum to its duration; sum(length_ns) per span is its '
    'critical time. root_row says which root, is_main_root marks the longest.';

REVOKE ALL ON FUNCTION trace_critical_path(bigint, uuid) FROM PUBLIC;
