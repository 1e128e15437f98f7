-- The spans of trace_open_spans as trace_waterfall shows them.
CREATE OR REPLACE VIEW trace_running_spans AS
SELECT
    trace_id, span_id, parent_span_id, service, operation, started_at,
    NULL::timestamptz AS completed_at,
    NULL::integer AS duration_ms,
    'started'::text AS status,
    job_id, execution_id, model_id, region, metadata,
    NULL::text AS error_message,
    NULL::bigint AS duration_ns,
    NULL::text AS error_type,
    reported_at AS created_at
FROM trace_open_spans;

COMMENT ON VIEW trace_running_spans IS
    'Every span that is reported as open: status started, no end, and as created_at the time at '
    'which it was reported.';
