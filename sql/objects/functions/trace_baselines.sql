-- What operations usually take: average and quantiles over other executions' completed spans, from
-- the rollups of the days around a time. Operations that are frequent enough are measured by the
-- near days, others by the far ones.
--
-- The arrays have an element a span of the execution, so that it is taken off again where it was
-- summed already; a span that did not complete has no duration.
CREATE OR REPLACE FUNCTION trace_baselines(
    p_services text[],
    p_operations text[],
    p_started_at timestamptz[],
    p_created_at timestamptz[],
    p_completed_ns bigint[],
    p_around timestamptz
)
RETURNS TABLE (
    service text,
    operation text,
    baseline_ns numeric,
    baseline_samples bigint,
    baseline_days integer,
    p50_ns double precision,
    p90_ns double precision,
    p95_ns double precision
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
-- A few operations of many, whatever the caller set.
SET enable_nestloop = on
SET jit = off
-- Planning took longer than all else, and what is asked of differs little.
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_limits     record;
    -- Behind these, intervals cannot be added.
    v_day        timestamptz := date_trunc(
        'day', least(greatest(p_around, '0002-01-01'), '9999-01-01'), 'UTC');
BEGIN
    IF p_services IS NULL OR p_around IS NULL OR NOT isfinite(p_around) THEN
        RETURN;
    END IF;
    SELECT * INTO v_limits FROM trace_limits;

    -- Operations by number, since most of the time goes into the order of a thousand buckets.
    RETURN QUERY
    WITH wanted AS MATERIALIZED (
        SELECT service, operation, row_number() OVER ()::integer AS n
        FROM unnest(p_services, p_operations) AS names (service, operation)
        GROUP BY service, operation
    ),
    own AS MATERIALIZED (
        SELECT wanted.n, date_trunc('day', spans.started_at, 'UTC') AS day, spans.duration_ns
        FROM unnest(p_services, p_operations, p_started_at, p_created_at, p_completed_ns)
            AS spans (service, operation, started_at, created_at, duration_ns)
        JOIN wanted ON wanted.service = spans.service AND wanted.operation = spans.operation
        WHERE spans.duration_ns IS NOT NULL
          AND (
              EXISTS (
                  SELECT FROM trace_batches AS batches
                  WHERE batches.committed_at = spans.created_at AND batches.is_summed
              )
              OR EXISTS (
                  SELECT FROM trace_folded_days AS folded
                  WHERE folded.day = (spans.started_at AT TIME ZONE 'UTC')::date
                    AND folded.folded_at >= spans.created_at
              )
          )
    ),
    sums AS (
        SELECT
            n,
            sum(samples) AS far_samples,
            sum(sum_ns) AS far_sum_ns,
            coalesce(sum(samples) FILTER (WHERE is_near), 0) AS near_samples,
            sum(sum_ns) FILTER (WHERE is_near) AS near_sum_ns
        FROM (
            SELECT
                n, samples, sum_ns,
                day >= v_day - make_interval(days => v_limits.baseline_days_near)
                AND day <= v_day + make_interval(days => v_limits.baseline_days_near) AS is_near
            FROM (
                SELECT wanted.n, rollups.starts_at AS day, rollups.samples, rollups.sum_ns
                FROM wanted
                -- OFFSET: an operation at a time, however few rows the planner thinks there are.
                CROSS JOIN LATERAL (
                    SELECT starts_at, samples, sum_ns FROM trace_rollups AS rollups
                    WHERE rollups.service = left(wanted.service, 255)
                      AND rollups.operation = left(wanted.operation, 255)
                      AND rollups.status = 'completed' AND rollups.hours = 24
                      AND rollups.starts_at
                          >= v_day - make_interval(days => v_limits.baseline_days_far)
                      AND rollups.starts_at
                          <= v_day + make_interval(days => v_limits.baseline_days_far)
                    OFFSET 0
                ) AS rollups
                UNION ALL
                SELECT n, day, -1, -duration_ns FROM own
                WHERE day >= v_day - make_interval(days => v_limits.baseline_days_far)
                  AND day <= v_day + make_interval(days => v_limits.baseline_days_far)
            ) AS days
        ) AS marked
        GROUP BY n
    ),
    chosen AS MATERIALIZED (
        SELECT
            wanted.*,
            CASE WHEN is_enough THEN near_samples ELSE far_samples END AS samples,
            CASE WHEN is_enough THEN near_sum_ns ELSE far_sum_ns END AS sum_ns,
            CASE WHEN is_enough
                THEN v_limits.baseline_days_near ELSE v_limits.baseline_days_far END AS days
        FROM (
            SELECT *, near_samples >= v_limits.minimum_samples AS is_enough FROM sums
        ) AS judged
        JOIN wanted ON wanted.n = judged.n
    ),
    histograms AS (
        SELECT n, bucket, sum(spans) AS spans
        FROM (
            SELECT chosen.n, cells.bucket, cells.spans::double precision AS spans
            FROM chosen
            JOIN trace_rollups AS rollups
                ON rollups.service = left(chosen.service, 255)
                AND rollups.operation = left(chosen.operation, 255)
                AND rollups.status = 'completed' AND rollups.hours = 24
                AND rollups.starts_at >= v_day - make_interval(days => chosen.days)
                AND rollups.starts_at <= v_day + make_interval(days => chosen.days)
            CROSS JOIN ROWS FROM (unnest(rollups.buckets), unnest(rollups.counts))
                AS cells (bucket, spans)
            UNION ALL
            SELECT own.n, trace_bucket(own.duration_ns), -1
            FROM own
            JOIN chosen ON chosen.n = own.n
            WHERE own.day >= v_day - make_interval(days => chosen.days)
              AND own.day <= v_day + make_interval(days => chosen.days)
        ) AS parts
        GROUP BY n, bucket
    ),
    quantiles AS (
        SELECT
            n,
            trace_bucket_ns(min(bucket) FILTER (WHERE reached >= 0.50 * total)) AS p50_ns,
            trace_bucket_ns(min(bucket) FILTER (WHERE reached >= 0.90 * total)) AS p90_ns,
            trace_bucket_ns(min(bucket) FILTER (WHERE reached >= 0.95 * total)) AS p95_ns
        FROM (
            SELECT
                n, bucket,
                sum(spans) OVER (PARTITION BY n ORDER BY bucket) AS reached,
                sum(spans) OVER (PARTITION BY n) AS total
            FROM histograms
            WHERE spans > 0
        ) AS cumulated
        GROUP BY n
    )
    SELECT
        chosen.service, chosen.operation,
        chosen.sum_ns / chosen.samples,
        chosen.samples::bigint, chosen.days,
        quantiles.p50_ns, quantiles.p90_ns, quantiles.p95_ns
    FROM chosen
    LEFT JOIN quantiles ON quantiles.n = chosen.n
    -- Own spans that look summed and are not yet, as of loaders that fill in created_at, leave sums
    -- that cannot be.
    WHERE chosen.samples > 0 AND chosen.sum_ns >= 0;
END
$$;

COMMENT ON FUNCTION trace_baselines(
    text[], text[], timestamptz[], timestamptz[], bigint[], timestamptz
) IS
    'Average duration, quantiles (within 1 %) and sample size of the operations of the given spans '
    'over other completed spans on the days around a time, from trace_rollups; the given ones '
    'themselves do not count.';

REVOKE ALL ON FUNCTION trace_baselines(
    text[], text[], timestamptz[], timestamptz[], bigint[], timestamptz
) FROM PUBLIC;
