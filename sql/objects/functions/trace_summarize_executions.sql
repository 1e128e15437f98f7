-- Counts executions anew, from their spans that began between a day before p_from and a day after
-- p_to, or further out where their summaries say that they did.
--
-- A batch that is under way waits for the rows, which are locked before the count is taken, and adds
-- what was not visible to it. Runs as the owner: see trace_ensure_days for the qualified names.
CREATE OR REPLACE FUNCTION trace_summarize_executions(
    p_executions bigint[], p_from timestamptz, p_to timestamptz
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SET search_path FROM CURRENT
SET jit = off
AS $$
DECLARE
    v_from timestamptz;
    v_to   timestamptz;
BEGIN
    INSERT INTO trace_execution_summaries (
        started_at, ended_at, execution_id, spans, failed_spans, timeout_spans, trace_id, services
    )
    SELECT
        p_from, p_from, wanted.id, 0::bigint, 0::bigint, 0::bigint,
        '00000000-0000-0000-0000-000000000000'::uuid, '{}'::text[]
    FROM pg_catalog.unnest(p_executions) AS wanted (id)
    ORDER BY wanted.id
    ON CONFLICT (execution_id) DO NOTHING;

    PERFORM FROM trace_execution_summaries AS summaries
    WHERE summaries.execution_id = ANY (p_executions)
    ORDER BY summaries.execution_id
    FOR UPDATE;

    SELECT
        least(pg_catalog.min(summaries.started_at), p_from - interval '1 day'),
        greatest(pg_catalog.max(summaries.ended_at), p_to + interval '1 day')
    INTO v_from, v_to
    FROM trace_execution_summaries AS summaries
    WHERE summaries.execution_id = ANY (p_executions);

    UPDATE trace_execution_summaries AS summaries
    SET started_at = counted.started_at,
        ended_at = counted.ended_at,
        spans = counted.spans,
        failed_spans = counted.failed,
        timeout_spans = counted.timeouts,
        trace_id = (counted.trace_ids)[1],
        root_duration_ns = counted.root_ns,
        root_service = CASE WHEN counted.root_ns IS NOT NULL THEN (counted.services)[1] END,
        root_operation = CASE WHEN counted.root_ns IS NOT NULL THEN (counted.operations)[1] END,
        root_status = CASE WHEN counted.root_ns IS NOT NULL THEN (counted.statuses)[1] END,
        job_id = counted.job_id,
        model_id = counted.model_id,
        region = counted.region,
        services = counted.all_services
    FROM (
        SELECT
            spans.execution_id,
            pg_catalog.min(spans.started_at) AS started_at,
            pg_catalog.max(coalesce(spans.ended_at, spans.started_at)) AS ended_at,
            pg_catalog.count(*) AS spans,
            pg_catalog.count(*) FILTER (WHERE spans.status = 'failed'::text) AS failed,
            pg_catalog.count(*) FILTER (WHERE spans.status = 'timeout'::text) AS timeouts,
            pg_catalog.max(spans.root_ns) AS root_ns,
            pg_catalog.array_agg(spans.trace_id ORDER BY spans.root_ns DESC NULLS LAST)
                AS trace_ids,
            pg_catalog.array_agg(spans.service ORDER BY spans.root_ns DESC NULLS LAST) AS services,
            pg_catalog.array_agg(spans.operation ORDER BY spans.root_ns DESC NULLS LAST)
                AS operations,
            pg_catalog.array_agg(spans.status ORDER BY spans.root_ns DESC NULLS LAST) AS statuses,
            pg_catalog.max(spans.job_id) AS job_id,
            pg_catalog.max(spans.model_id) AS model_id,
            pg_catalog.max(spans.region) AS region,
            pg_catalog.array_agg(DISTINCT spans.service) AS all_services
        FROM (
            SELECT
                stored.*,
                CASE WHEN stored.parent_span_id IS NULL
                    THEN coalesce(stored.duration_ns, 0::bigint) END AS root_ns
            FROM trace_stored_spans AS stored
            WHERE stored.execution_id = ANY (p_executions)
              AND stored.started_at >= v_from AND stored.started_at <= v_to
        ) AS spans
        GROUP BY spans.execution_id
    ) AS counted
    WHERE summaries.execution_id = counted.execution_id;

    -- Their spans are gone.
    DELETE FROM trace_execution_summaries AS summaries
    WHERE summaries.execution_id = ANY (p_executions) AND summaries.spans = 0::bigint;
END
$$;

COMMENT ON FUNCTION trace_summarize_executions(bigint[], timestamptz, timestamptz) IS
    'Makes the summaries of executions anew from their spans around a time.';

REVOKE ALL ON FUNCTION trace_summarize_executions(bigint[], timestamptz, timestamptz) FROM PUBLIC;
