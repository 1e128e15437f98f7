-- Executions, one row each: `SELECT * FROM trace_executions ORDER BY started_at DESC LIMIT 50`. The
-- status is that of the root, started while a span is open, and without a root that of the worst
-- span.
CREATE OR REPLACE VIEW trace_executions AS
SELECT
    summaries.execution_id,
    CASE
        WHEN EXISTS (
            SELECT FROM trace_open_spans AS open
            WHERE open.execution_id = summaries.execution_id
        ) THEN 'started'
        WHEN root_status IS NOT NULL THEN root_status
        WHEN timeout_spans > 0 THEN 'timeout'
        WHEN failed_spans > 0 THEN 'failed'
        ELSE 'completed'
    END AS status,
    started_at,
    ended_at,
    least(
        coalesce(
            round(root_duration_ns / 1e6), round(extract(epoch FROM ended_at - started_at) * 1e3)),
        2147483647
    )::integer AS duration_ms,
    spans,
    failed_spans,
    timeout_spans,
    job_id,
    model_id,
    region,
    root_service,
    root_operation,
    trace_id,
    ARRAY(SELECT DISTINCT service FROM unnest(services) AS service ORDER BY service) AS services
FROM trace_execution_summaries AS summaries
UNION ALL
SELECT
    execution_id, 'started'::text, min(started_at), NULL::timestamptz, NULL::integer, count(*),
    0::bigint, 0::bigint, min(job_id), min(model_id), min(region), NULL::text, NULL::text,
    (array_agg(trace_id))[1], array_agg(DISTINCT service)
FROM trace_open_spans AS open
WHERE execution_id IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM trace_execution_summaries AS summaries
      WHERE summaries.execution_id = open.execution_id
  )
GROUP BY execution_id;

COMMENT ON VIEW trace_executions IS
    'One row an execution: status, time range, spans, the root''s name, job, model, region, and the '
    'services that took part; rows by other writers are in it after trace_maintain().';
