-- What differs between two executions, operation by operation, the largest difference of own time
-- first: self times of one execution add up, durations of nested spans do not.
CREATE OR REPLACE FUNCTION compare_operations(p_execution_a bigint, p_execution_b bigint)
RETURNS TABLE (
    service text,
    operation text,
    spans_a bigint,
    spans_b bigint,
    self_time_a_ms numeric,
    self_time_b_ms numeric,
    difference_ms numeric,
    ratio numeric,
    average_a_ms numeric,
    average_b_ms numeric,
    failures_a bigint,
    failures_b bigint
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
    WITH operations AS (
        SELECT
            service, operation,
            count(*) FILTER (WHERE of_a) AS spans_a,
            count(*) FILTER (WHERE NOT of_a) AS spans_b,
            coalesce(sum(self_time_ns) FILTER (WHERE of_a), 0) AS self_a_ns,
            coalesce(sum(self_time_ns) FILTER (WHERE NOT of_a), 0) AS self_b_ns,
            avg(duration_ns) FILTER (WHERE of_a) AS average_a_ns,
            avg(duration_ns) FILTER (WHERE NOT of_a) AS average_b_ns,
            count(*) FILTER (WHERE of_a AND status <> 'completed') AS failures_a,
            count(*) FILTER (WHERE NOT of_a AND status <> 'completed') AS failures_b
        FROM (
            SELECT true AS of_a, * FROM trace_tree(p_execution_a)
            UNION ALL
            SELECT false, * FROM trace_tree(p_execution_b)
        ) AS spans
        GROUP BY service, operation
    )
    SELECT
        service, operation, spans_a, spans_b,
        round(self_a_ns / 1e6, 3), round(self_b_ns / 1e6, 3),
        round((self_b_ns - self_a_ns) / 1e6, 3), round(self_b_ns / nullif(self_a_ns, 0), 3),
        round(average_a_ns / 1e6, 3), round(average_b_ns / 1e6, 3), failures_a, failures_b
    FROM operations
    ORDER BY abs(self_b_ns - self_a_ns) DESC, service, operation;
END
$$;

COMMENT ON FUNCTION compare_operations(bigint, bigint) IS
    'Two executions operation by operation: spans, own time, average duration and spans that did '
    'not complete, the largest difference of own time first.';

REVOKE ALL ON FUNCTION compare_operations(bigint, bigint) FROM PUBLIC;
