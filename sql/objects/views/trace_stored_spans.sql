-- The spans of trace_spans as trace_waterfall shows them, without those that are open.
--
-- Other writers fill in only one of duration_ns, duration_ms and completed_at, so this is the one
-- place that says how long a span took, and when it ended. Clamped to 0 and above, since one absurd row must not fail the query; in
-- whole microseconds, since PostgreSQL 13 counts seconds in floating point. No round() with one
-- argument: for numeric it is a function in SQL, which each planning would put in its place.
CREATE OR REPLACE VIEW trace_stored_spans AS
SELECT
    trace_id,
    span_id,
    parent_span_id,
    service,
    operation,
    started_at,
    completed_at,
    CASE
        WHEN duration_ms IS NOT NULL THEN greatest(duration_ms, 0)
        WHEN known_duration_ns IS NOT NULL
            THEN least(round(known_duration_ns / 1e6, 0), 2147483647)::integer
    END AS duration_ms,
    status,
    job_id,
    execution_id,
    model_id,
    region,
    metadata,
    error_message,
    known_duration_ns AS duration_ns,
    error_type,
    created_at,
    coalesce(
        completed_at,
        -- An infinite or distant start has no later end that could be told.
        CASE WHEN started_at < '9000-01-01' AND isfinite(started_at)
            THEN started_at + known_duration_ns / 1000 * interval '1 microsecond'
        END
    ) AS ended_at
FROM (
    SELECT
        trace_id, span_id, parent_span_id, service, operation, started_at, completed_at,
        duration_ms, status, job_id, execution_id, model_id, region, metadata, error_message,
        error_type, created_at,
        coalesce(
            CASE WHEN duration_ns IS NOT NULL THEN greatest(duration_ns, 0) END,
            CASE WHEN duration_ms IS NOT NULL THEN greatest(duration_ms, 0) * 1000000::bigint END,
            CASE
                WHEN completed_at <= started_at THEN 0
                WHEN completed_at > started_at THEN least(
                    (floor(extract(epoch FROM completed_at) * 1e6 + 0.5)
                        - floor(extract(epoch FROM started_at) * 1e6 + 0.5)) * 1000,
                    9e18
                )::bigint
            END
        ) AS known_duration_ns
    FROM trace_spans
) AS spans;

COMMENT ON VIEW trace_stored_spans IS
    'Every span of trace_spans, with its duration and end from whichever column has them.';
