-- Adds a batch's spans to trace_execution_summaries. The arrays have an element per execution; names
-- by their number in p_names, 0 for none. Times are microseconds since 1970. The root's are those of
-- the longest span without a parent. p_service_executions and p_services are pairs.
--
-- In the order of the key, since other writers lock the same rows. SECURITY DEFINER, since the role
-- that writes has no right on the table: see trace_ensure_days for the qualified names.
CREATE OR REPLACE FUNCTION trace_add_executions(
    p_names text[],
    p_executions bigint[],
    p_started_us bigint[],
    p_ended_us bigint[],
    p_spans bigint[],
    p_failed bigint[],
    p_timeouts bigint[],
    p_trace_ids uuid[],
    p_root_ns bigint[],
    p_root_services integer[],
    p_root_operations integer[],
    p_root_statuses text[],
    p_jobs integer[],
    p_models integer[],
    p_regions integer[],
    p_service_executions integer[],
    p_services integer[]
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path FROM CURRENT
-- The sizes of the arrays are not known to the planner.
SET enable_nestloop = off
SET jit = off
AS $$
DECLARE
    v_names text[] := trace_names(p_names);
BEGIN
    INSERT INTO trace_execution_summaries AS summaries (
        started_at, ended_at, execution_id, spans, failed_spans, timeout_spans, trace_id,
        root_duration_ns, root_service, root_operation, root_status, job_id, model_id, region,
        services
    )
    SELECT
        'epoch'::timestamptz
            + pg_catalog.make_interval(secs => (added.started_us / 1000000::bigint)::double precision)
            + (added.started_us % 1000000::bigint)::double precision * interval '1 microsecond',
        'epoch'::timestamptz
            + pg_catalog.make_interval(secs => (added.ended_us / 1000000::bigint)::double precision)
            + (added.ended_us % 1000000::bigint)::double precision * interval '1 microsecond',
        added.execution_id, added.spans, added.failed, added.timeouts, added.trace_id,
        added.root_ns, v_names[added.root_service], v_names[added.root_operation],
        added.root_status, v_names[added.job], v_names[added.model], v_names[added.region],
        parts.services
    FROM ROWS FROM (
        pg_catalog.unnest(p_executions), pg_catalog.unnest(p_started_us),
        pg_catalog.unnest(p_ended_us), pg_catalog.unnest(p_spans), pg_catalog.unnest(p_failed),
        pg_catalog.unnest(p_timeouts), pg_catalog.unnest(p_trace_ids),
        pg_catalog.unnest(p_root_ns), pg_catalog.unnest(p_root_services),
        pg_catalog.unnest(p_root_operations), pg_catalog.unnest(p_root_statuses),
        pg_catalog.unnest(p_jobs), pg_catalog.unnest(p_models), pg_catalog.unnest(p_regions)
    ) WITH ORDINALITY AS added (
        execution_id, started_us, ended_us, spans, failed, timeouts, trace_id, root_ns,
        root_service, root_operation, root_status, job, model, region, n)
    JOIN (
        SELECT pairs.n, pg_catalog.array_agg(v_names[pairs.service]) AS services
        FROM ROWS FROM (
            pg_catalog.unnest(p_service_executions), pg_catalog.unnest(p_services)
        ) AS pairs (n, service)
        GROUP BY pairs.n
    ) AS parts ON parts.n = added.n
    -- What no writer counts.
    WHERE added.spans > 0::bigint AND added.failed >= 0::bigint AND added.timeouts >= 0::bigint
    ORDER BY added.execution_id
    ON CONFLICT (execution_id) DO UPDATE SET
        started_at = least(summaries.started_at, excluded.started_at),
        ended_at = greatest(summaries.ended_at, excluded.ended_at),
        spans = summaries.spans + excluded.spans,
        failed_spans = summaries.failed_spans + excluded.failed_spans,
        timeout_spans = summaries.timeout_spans + excluded.timeout_spans,
        trace_id = CASE
            WHEN excluded.root_duration_ns > coalesce(summaries.root_duration_ns, -1::bigint)
                THEN excluded.trace_id ELSE summaries.trace_id
        END,
        root_duration_ns = CASE
            WHEN excluded.root_duration_ns > coalesce(summaries.root_duration_ns, -1::bigint)
                THEN excluded.root_duration_ns ELSE summaries.root_duration_ns
        END,
        root_service = CASE
            WHEN excluded.root_duration_ns > coalesce(summaries.root_duration_ns, -1::bigint)
                THEN excluded.root_service ELSE summaries.root_service
        END,
        root_operation = CASE
            WHEN excluded.root_duration_ns > coalesce(summaries.root_duration_ns, -1::bigint)
                THEN excluded.root_operation ELSE summaries.root_operation
        END,
        root_status = CASE
            WHEN excluded.root_duration_ns > coalesce(summaries.root_duration_ns, -1::bigint)
                THEN excluded.root_status ELSE summaries.root_status
        END,
        job_id = coalesce(summaries.job_id, excluded.job_id),
        model_id = coalesce(summaries.model_id, excluded.model_id),
        region = coalesce(summaries.region, excluded.region),
        services = CASE
            WHEN summaries.services OPERATOR(pg_catalog.@>) excluded.services THEN summaries.services
            ELSE pg_catalog.array_cat(summaries.services, excluded.services)
        END;
END
$$;

COMMENT ON FUNCTION trace_add_executions(
    text[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[], uuid[], bigint[], integer[],
    integer[], text[], integer[], integer[], integer[], integer[], integer[]
) IS
    'Adds spans to trace_execution_summaries: executions as parallel arrays, and the services that '
    'took part in them as pairs; for the writer, in the transaction of a batch.';

REVOKE ALL ON FUNCTION trace_add_executions(
    text[], bigint[], bigint[], bigint[], bigint[], bigint[], bigint[], uuid[], bigint[], integer[],
    integer[], text[], integer[], integer[], integer[], integer[], integer[]
) FROM PUBLIC;
