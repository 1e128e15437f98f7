-- Every span, for reading: `SELECT * FROM trace_waterfall WHERE execution_id = 123`. Those that
-- are open have status started, no end, and as created_at the time at which they were reported.
--
-- It stays a plain projection of two tables, so that conditions reach the indexes and partitions
-- below; order and nesting come from trace_tree().
CREATE OR REPLACE VIEW trace_waterfall AS
SELECT
    trace_id, span_id, parent_span_id, service, operation, started_at, completed_at, duration_ms,
    status, job_id, execution_id, model_id, region, metadata, error_message, duration_ns,
    error_type, created_at
FROM trace_stored_spans
UNION ALL
SELECT
    trace_id, span_id, parent_span_id, service, operation, started_at, NULL::timestamptz,
    NULL::integer, 'started'::text, job_id, execution_id, model_id, region, metadata, NULL::text,
    NULL::bigint, NULL::text, reported_at
FROM trace_open_spans;

COMMENT ON VIEW trace_waterfall IS
    'Every span as it was written, and those that are open, with status started; filter by '
    'execution_id or trace_id, order by started_at.';
