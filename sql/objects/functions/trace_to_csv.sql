-- Traces a row a span, for CSV: the columns of the data set Nezha, which spanring import reads, then
-- those of ours that it does not have.
-- https://github.com/IntelligentDDS/Nezha
CREATE OR REPLACE FUNCTION trace_to_csv(p_trace_ids uuid[])
RETURNS TABLE (
    "TraceID" text,
    "SpanID" text,
    "ParentID" text,
    "ServiceName" text,
    "OperationName" text,
    "StartTimeUnixNano" numeric,
    "EndTimeUnixNano" numeric,
    "Duration" bigint,
    "spanring.status" text,
    "spanring.execution_id" bigint,
    "spanring.job_id" text,
    "spanring.model_id" text,
    "spanring.region" text,
    "spanring.error.type" text,
    "spanring.error.message" text,
    "spanring.metadata" jsonb
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        replace(tree.trace_id::text, '-', ''),
        regexp_replace(replace(tree.span_id::text, '-', ''), '^0{16}', ''),
        coalesce(
            regexp_replace(replace(tree.parent_span_id::text, '-', ''), '^0{16}', ''), 'root'),
        tree.service, tree.operation,
        trace_unix_us(tree.started_at)::numeric * 1000,
        CASE WHEN tree.status <> 'started'
            THEN trace_unix_us(tree.started_at)::numeric * 1000 + tree.duration_ns END,
        CASE WHEN tree.status <> 'started' THEN tree.duration_ns / 1000 END,
        tree.status, tree.execution_id, tree.job_id, tree.model_id, tree.region, tree.error_type,
        tree.error_message, tree.metadata
    FROM unnest(p_trace_ids) WITH ORDINALITY AS wanted (id, n)
    CROSS JOIN LATERAL trace_tree(NULL, wanted.id) AS tree
    ORDER BY wanted.n, tree.row_order;
END
$$;

COMMENT ON FUNCTION trace_to_csv(uuid[]) IS
    'Traces, a row a span, with the columns that spanring import reads from CSV.';

REVOKE ALL ON FUNCTION trace_to_csv(uuid[]) FROM PUBLIC;
