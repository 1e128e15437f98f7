-- How long operations took in a time, and how that went: per operation a row for all of it
-- (starts_at NULL) and one for each hour, or for each day where it is longer than 8 days. Hours and
-- days count whole, by when they began, as trace_rollups has them.
CREATE OR REPLACE FUNCTION trace_operation_latencies(
    p_from timestamptz, p_to timestamptz, p_service text DEFAULT NULL
)
RETURNS TABLE (
    service text,
    operation text,
    starts_at timestamptz,
    hours integer,
    spans bigint,
    failed bigint,
    timeouts bigint,
    average_ms numeric,
    p50_ms numeric,
    p95_ms numeric,
    p99_ms numeric,
    max_ms numeric,
    total_ms numeric
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_hours smallint := CASE WHEN p_to - p_from <= interval '8 days' THEN 1 ELSE 24 END;
BEGIN
    IF p_from IS NULL OR p_to IS NULL OR p_from >= p_to THEN
        RAISE EXCEPTION 'p_from must be before p_to' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    WITH chosen AS MATERIALIZED (
        SELECT * FROM trace_rollups
        WHERE hours = v_hours
          AND starts_at >= date_trunc(CASE v_hours WHEN 1 THEN 'hour' ELSE 'day' END, p_from, 'UTC')
          AND starts_at < p_to
          AND (p_service IS NULL OR service = p_service)
    ),
    counted AS (
        SELECT
            service, operation, starts_at,
            sum(spans)::bigint AS spans,
            coalesce(sum(spans) FILTER (WHERE status = 'failed'), 0)::bigint AS failed,
            coalesce(sum(spans) FILTER (WHERE status = 'timeout'), 0)::bigint AS timeouts,
            sum(sum_ns) AS sum_ns, sum(samples) AS samples, max(max_ns) AS max_ns
        FROM chosen
        GROUP BY GROUPING SETS ((service, operation), (service, operation, starts_at))
    ),
    buckets AS (
        SELECT service, operation, starts_at, bucket, sum(count) AS count
        FROM chosen
        CROSS JOIN LATERAL unnest(buckets, counts) AS histogram (bucket, count)
        GROUP BY GROUPING SETS (
            (service, operation, bucket), (service, operation, starts_at, bucket))
    ),
    reached AS (
        SELECT
            service, operation, starts_at, bucket,
            sum(count) OVER (PARTITION BY service, operation, starts_at ORDER BY bucket) AS reached,
            sum(count) OVER (PARTITION BY service, operation, starts_at) AS total
        FROM buckets
    ),
    quantiles AS (
        SELECT
            service, operation, starts_at,
            trace_bucket_ns(min(bucket) FILTER (WHERE reached >= 0.50 * total)) AS p50_ns,
            trace_bucket_ns(min(bucket) FILTER (WHERE reached >= 0.95 * total)) AS p95_ns,
            trace_bucket_ns(min(bucket) FILTER (WHERE reached >= 0.99 * total)) AS p99_ns
        FROM reached
        GROUP BY service, operation, starts_at
    )
    SELECT
        counted.service, counted.operation, counted.starts_at, v_hours::integer, counted.spans,
        counted.failed, counted.timeouts,
        round(counted.sum_ns / nullif(counted.samples, 0) / 1e6, 3),
        round((quantiles.p50_ns / 1e6)::numeric, 3),
        round((quantiles.p95_ns / 1e6)::numeric, 3),
        round((quantiles.p99_ns / 1e6)::numeric, 3),
        round(counted.max_ns / 1e6, 3),
        round(counted.sum_ns / 1e6, 3)
    FROM counted
    LEFT JOIN quantiles
        ON quantiles.service = counted.service AND quantiles.operation = counted.operation
        AND quantiles.starts_at IS NOT DISTINCT FROM counted.starts_at
    ORDER BY counted.service, counted.operation, counted.starts_at NULLS FIRST;
END
$$;

COMMENT ON FUNCTION trace_operation_latencies(timestamptz, timestamptz, text) IS
    'Per operation how many spans, failures, and which durations there were in a time: a row for all '
    'of it (starts_at NULL), and one for each of its hours or, beyond 8 days, days; quantiles with a '
    'relative error of 1 %.';

REVOKE ALL ON FUNCTION trace_operation_latencies(timestamptz, timestamptz, text) FROM PUBLIC;
