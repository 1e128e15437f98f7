-- What differs between two executions, span by span: spans are matched by their call path (names
-- from the root) and their occurrence on it, in display order. The order is a's; what is only in b
-- stands behind what came before it there.
CREATE OR REPLACE FUNCTION compare_executions(p_execution_a bigint, p_execution_b bigint)
RETURNS TABLE (
    presence text,
    depth integer,
    service text,
    operation text,
    occurrence integer,
    duration_a_ms numeric,
    duration_b_ms numeric,
    difference_ms numeric,
    ratio numeric,
    self_time_a_ms numeric,
    self_time_b_ms numeric,
    status_a text,
    status_b text,
    error_a text,
    error_b text,
    span_id_a uuid,
    span_id_b uuid,
    row_order integer
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
    WITH a AS MATERIALIZED (
        SELECT
            *, (row_number() OVER (PARTITION BY path_hash ORDER BY row_order))::integer
                AS occurrence
        FROM trace_tree(p_execution_a)
    ),
    b AS MATERIALIZED (
        SELECT
            *, (row_number() OVER (PARTITION BY path_hash ORDER BY row_order))::integer
                AS occurrence
        FROM trace_tree(p_execution_b)
    ),
    matched AS (
        SELECT
            CASE WHEN b.row_order IS NULL THEN 'a' WHEN a.row_order IS NULL THEN 'b' ELSE 'both'
                END AS presence,
            coalesce(a.depth, b.depth) AS depth,
            coalesce(a.service, b.service) AS service,
            coalesce(a.operation, b.operation) AS operation,
            coalesce(a.occurrence, b.occurrence) AS occurrence,
            a.duration_ns AS a_ns, b.duration_ns AS b_ns,
            a.self_time_ns AS a_self_ns, b.self_time_ns AS b_self_ns,
            a.status AS status_a, b.status AS status_b,
            nullif(concat_ws(': ', a.error_type, a.error_message), '') AS error_a,
            nullif(concat_ws(': ', b.error_type, b.error_message), '') AS error_b,
            a.span_id AS span_id_a, b.span_id AS span_id_b,
            a.row_order AS a_row,
            a.row_order IS NULL AS only_b,
            b.row_order AS b_row
        FROM a
        FULL JOIN b ON b.path_hash = a.path_hash AND b.occurrence = a.occurrence
    ),
    placed AS (
        SELECT
            *,
            -- For one that only b has: a's row of the last common span before it in b.
            coalesce(a_row, max(a_row) OVER (ORDER BY b_row), 0) AS place
        FROM matched
        WHERE b_row IS NOT NULL
        UNION ALL
        SELECT *, a_row FROM matched WHERE b_row IS NULL
    )
    SELECT
        presence, depth, service, operation, occurrence,
        round(a_ns / 1e6, 3), round(b_ns / 1e6, 3), round((b_ns - a_ns) / 1e6, 3),
        round(b_ns::numeric / nullif(a_ns, 0), 3),
        round(a_self_ns / 1e6, 3), round(b_self_ns / 1e6, 3),
        status_a, status_b, error_a, error_b, span_id_a, span_id_b,
        (row_number() OVER (ORDER BY place, only_b, b_row))::integer
    FROM placed
    ORDER BY 18;
END
$$;

COMMENT ON FUNCTION compare_executions(bigint, bigint) IS
    'Two executions span by span, matched by call path and occurrence: presence is both, a or b; '
    'difference and ratio are b''s duration against a''s.';

REVOKE ALL ON FUNCTION compare_executions(bigint, bigint) FROM PUBLIC;
