-- What operations usually take: the average over other executions' completed spans around a time.
-- Operations that are frequent enough are averaged over the near days, others over the far ones.
CREATE OR REPLACE FUNCTION trace_baselines(
    p_execution_id bigint,
    p_trace_ids uuid[],
    p_services text[],
    p_operations text[],
    p_around timestamptz
)
RETURNS TABLE (
    service text,
    operation text,
    baseline_ns numeric,
    baseline_samples bigint,
    baseline_days integer
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_limits record;
    v_days integer;
    v_services text[] := p_services;
    v_operations text[] := p_operations;
    v_found_services text[];
    v_found_operations text[];
    v_average_ns numeric[];
    v_samples bigint[];
BEGIN
    SELECT * INTO v_limits FROM trace_limits();
    FOREACH v_days IN ARRAY ARRAY[v_limits.baseline_days_near, v_limits.baseline_days_far] LOOP
        SELECT
            array_agg(service ORDER BY service, operation),
            array_agg(operation ORDER BY service, operation),
            array_agg(average_ns ORDER BY service, operation),
            array_agg(samples ORDER BY service, operation)
        INTO v_found_services, v_found_operations, v_average_ns, v_samples
        FROM (
            SELECT service, operation, avg(duration_ns) AS average_ns, count(duration_ns) AS samples
            FROM trace_waterfall
            WHERE started_at >= p_around - make_interval(days => v_days)
              AND started_at <= p_around + make_interval(days => v_days)
              AND status = 'completed'
              AND (service, operation) IN (SELECT * FROM unnest(v_services, v_operations))
              AND execution_id IS DISTINCT FROM p_execution_id
              AND (execution_id IS NOT NULL OR trace_id <> ALL (p_trace_ids))
            GROUP BY service, operation
        ) AS history;

        RETURN QUERY
        SELECT service, operation, average_ns, samples, v_days
        FROM unnest(v_found_services, v_found_operations, v_average_ns, v_samples)
            AS history (service, operation, average_ns, samples)
        WHERE samples >= v_limits.minimum_samples OR v_days = v_limits.baseline_days_far;

        -- What is left for the far days.
        SELECT array_agg(service ORDER BY n), array_agg(operation ORDER BY n)
        INTO v_services, v_operations
        FROM unnest(v_services, v_operations) WITH ORDINALITY AS wanted (service, operation, n)
        WHERE NOT EXISTS (
            SELECT
            FROM unnest(v_found_services, v_found_operations, v_samples)
                AS history (service, operation, samples)
            WHERE history.service = wanted.service AND history.operation = wanted.operation
              AND history.samples >= v_limits.minimum_samples
        );
        EXIT WHEN v_services IS NULL;
    END LOOP;
END
$$;

COMMENT ON FUNCTION trace_baselines(bigint, uuid[], text[], text[], timestamptz) IS
    'Average duration and sample size of the given operations over other executions'' completed '
    'spans around a time; the execution itself never counts.';

REVOKE ALL ON FUNCTION trace_baselines(bigint, uuid[], text[], text[], timestamptz) FROM PUBLIC;
