-- Sizes and loss at one glance, from sums that others keep: it reads no span. Rows by other writers
-- are in it after trace_maintain(), times of day are cut to the hour, and traces are counted by
-- their roots. The drops come from the writers, which say them beside the data.
CREATE OR REPLACE VIEW trace_spans_health AS
SELECT
    days.total_spans,
    hours.spans_last_24h,
    hours.spans_last_hour,
    pg_size_pretty(sizes.table_bytes) AS table_size,
    pg_size_pretty(sizes.total_bytes) AS total_size_with_indexes,
    days.unique_traces,
    days.avg_duration_ms,
    days.failed_spans,
    days.timeout_spans,
    writers.spans_dropped,
    drops.drops_by_reason,
    writers.writers_active,
    greatest(
        (SELECT max(committed_at) FROM trace_batches),
        (SELECT max(started_at) FROM trace_execution_summaries)
    ) AS last_span_at,
    open_spans.open_spans,
    sizes.total_bytes,
    writers.writers_seen,
    writers.spans_sampled_out
FROM (
    SELECT
        coalesce(sum(spans), 0)::bigint AS total_spans,
        coalesce(sum(roots), 0)::bigint AS unique_traces,
        round(sum(sum_ns) / nullif(sum(samples), 0) / 1000000, 2) AS avg_duration_ms,
        coalesce(sum(spans) FILTER (WHERE status = 'failed'), 0)::bigint AS failed_spans,
        coalesce(sum(spans) FILTER (WHERE status = 'timeout'), 0)::bigint AS timeout_spans
    FROM trace_rollups WHERE hours = 24
) AS days
CROSS JOIN (
    SELECT
        coalesce(sum(spans), 0)::bigint AS spans_last_24h,
        coalesce(
            sum(spans) FILTER (WHERE starts_at > now() - interval '2 hours'), 0
        )::bigint AS spans_last_hour
    FROM trace_rollups WHERE hours = 1 AND starts_at > now() - interval '25 hours'
) AS hours
CROSS JOIN (
    SELECT count(*) AS open_spans FROM trace_open_spans
) AS open_spans
CROSS JOIN (
    SELECT
        coalesce(sum(pg_table_size(relid)), 0)::bigint AS table_bytes,
        coalesce(sum(pg_total_relation_size(relid)), 0)::bigint AS total_bytes
    FROM pg_partition_tree('trace_spans') AS tree
    WHERE tree.isleaf
) AS sizes
CROSS JOIN (
    SELECT
        coalesce(sum(spans_dropped), 0)::bigint AS spans_dropped,
        coalesce(sum(spans_sampled_out), 0)::bigint AS spans_sampled_out,
        count(*) AS writers_seen,
        count(*) FILTER (
            WHERE stopped_at IS NULL AND recovered_at IS NULL
              AND last_seen_at > now() - interval '1 hour'
        ) AS writers_active
    FROM trace_writers
) AS writers
CROSS JOIN (
    SELECT coalesce(jsonb_object_agg(reason, dropped ORDER BY reason), '{}') AS drops_by_reason
    FROM (
        SELECT entry.key AS reason, sum(entry.value::bigint) AS dropped
        FROM trace_writers
        CROSS JOIN jsonb_each_text(trace_writers.drops) AS entry
        GROUP BY entry.key
    ) AS reasons
) AS drops;

COMMENT ON VIEW trace_spans_health IS
    'One row: spans in all, lately (in hours that began less than 25 and 2 hours ago) and by '
    'outcome, traces by their roots, sizes over all partitions, what writers had to drop and why, '
    'how many writers were seen in the last hour, and how many spans are reported as open. Spans that '
    'were sampled out are among those in all. Rows by other writers count after trace_maintain().';
