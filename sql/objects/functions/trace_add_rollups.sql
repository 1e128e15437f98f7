-- Adds a batch's durations to trace_rollups. Each array but the last three has an element per row:
-- its length in hours, its begin in hours since 1970, and so on; names by their number in p_names.
-- The last three have one per bucket that is not empty: the row's number, the bucket, the spans.
--
-- In the order of the key, since other writers lock the same rows. SECURITY DEFINER, since the role
-- that writes has no right on the table: see trace_ensure_days for the qualified names.
CREATE OR REPLACE FUNCTION trace_add_rollups(
    p_names text[],
    p_services integer[],
    p_operations integer[],
    p_statuses text[],
    p_hours smallint[],
    p_begins bigint[],
    p_spans bigint[],
    p_roots bigint[],
    p_sums_ns numeric[],
    p_min_ns bigint[],
    p_max_ns bigint[],
    p_bucket_rows integer[],
    p_buckets integer[],
    p_bucket_spans bigint[]
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
    INSERT INTO trace_rollups AS rollups (
        starts_at, spans, roots, samples, sum_ns, min_ns, max_ns, hours, is_folded, service, operation,
        status, buckets, counts
    )
    SELECT
        'epoch'::timestamptz + pg_catalog.make_interval(hours => added.begins::integer),
        added.spans, added.roots, coalesce(histograms.samples, 0::bigint), added.sum_ns,
        added.min_ns, added.max_ns, added.hours, false, v_names[added.service], v_names[added.operation],
        added.status, coalesce(histograms.buckets, '{}'::integer[]),
        coalesce(histograms.counts, '{}'::bigint[])
    FROM ROWS FROM (
        pg_catalog.unnest(p_services), pg_catalog.unnest(p_operations),
        pg_catalog.unnest(p_statuses), pg_catalog.unnest(p_hours), pg_catalog.unnest(p_begins),
        pg_catalog.unnest(p_spans), pg_catalog.unnest(p_roots), pg_catalog.unnest(p_sums_ns),
        pg_catalog.unnest(p_min_ns), pg_catalog.unnest(p_max_ns)
    ) WITH ORDINALITY AS added (
        service, operation, status, hours, begins, spans, roots, sum_ns, min_ns, max_ns, n)
    LEFT JOIN (
        SELECT
            cells.n, pg_catalog.sum(cells.spans)::bigint AS samples,
            pg_catalog.array_agg(cells.bucket ORDER BY cells.bucket) AS buckets,
            pg_catalog.array_agg(cells.spans ORDER BY cells.bucket) AS counts
        FROM ROWS FROM (
            pg_catalog.unnest(p_bucket_rows), pg_catalog.unnest(p_buckets),
            pg_catalog.unnest(p_bucket_spans)
        ) AS cells (n, bucket, spans)
        GROUP BY cells.n
    ) AS histograms ON histograms.n = added.n
    ORDER BY v_names[added.service], v_names[added.operation], added.status, added.hours,
        added.begins
    ON CONFLICT (service, operation, status, hours, starts_at, is_folded) DO UPDATE SET
        spans = rollups.spans + excluded.spans,
        roots = rollups.roots + excluded.roots,
        samples = rollups.samples + excluded.samples,
        sum_ns = rollups.sum_ns + excluded.sum_ns,
        min_ns = least(rollups.min_ns, excluded.min_ns),
        max_ns = greatest(rollups.max_ns, excluded.max_ns),
        (buckets, counts) = (
            SELECT
                coalesce(
                    pg_catalog.array_agg(merged.bucket ORDER BY merged.bucket), '{}'::integer[]),
                coalesce(pg_catalog.array_agg(merged.spans ORDER BY merged.bucket), '{}'::bigint[])
            FROM (
                SELECT cells.bucket, pg_catalog.sum(cells.spans)::bigint AS spans
                FROM (
                    SELECT bucket, counted.spans
                    FROM ROWS FROM (
                        pg_catalog.unnest(rollups.buckets), pg_catalog.unnest(rollups.counts)
                    ) AS counted (bucket, spans)
                    UNION ALL
                    SELECT bucket, counted.spans
                    FROM ROWS FROM (
                        pg_catalog.unnest(excluded.buckets), pg_catalog.unnest(excluded.counts)
                    ) AS counted (bucket, spans)
                ) AS cells
                GROUP BY cells.bucket
            ) AS merged
        );
END
$$;

COMMENT ON FUNCTION trace_add_rollups(
    text[], integer[], integer[], text[], smallint[], bigint[], bigint[], bigint[], numeric[],
    bigint[], bigint[], integer[], integer[], bigint[]
) IS
    'Adds spans to trace_rollups: rows as parallel arrays, and their histograms'' cells; for the '
    'writer, in the transaction of a batch.';

REVOKE ALL ON FUNCTION trace_add_rollups(
    text[], integer[], integer[], text[], smallint[], bigint[], bigint[], bigint[], numeric[],
    bigint[], bigint[], integer[], integer[], bigint[]
) FROM PUBLIC;
