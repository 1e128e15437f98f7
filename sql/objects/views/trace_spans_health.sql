-- Sizes and loss at one glance. The drops come from the writers, which say them beside the data.
CREATE OR REPLACE VIEW trace_spans_health AS
SELECT
    spans.total_spans,
    spans.spans_last_24h,
    spans.spans_last_hour,
    pg_size_pretty(sizes.table_bytes) AS table_size,
    pg_size_pretty(sizes.total_bytes) AS total_size_with_indexes,
    spans.unique_traces,
    spans.avg_duration_ms,
    spans.failed_spans,
    spans.timeout_spans,
    writers.spans_dropped,
    drops.drops_by_reason,
    writers.writers_active,
    spans.last_span_at,
    open_spans.open_spans,
    sizes.total_bytes,
    writers.writers_seen
FROM (
    SELECT
        count(*) AS total_spans,
        count(*) FILTER (WHERE started_at > now() - interval '24 hours') AS spans_last_24h,
        count(*) FILTER (WHERE started_at > now() - interval '1 hour') AS spans_last_hour,
        count(DISTINCT trace_id) AS unique_traces,
        round(avg(duration_ms), 2) AS avg_duration_ms,
        count(*) FILTER (WHERE status = 'failed') AS failed_spans,
        count(*) FILTER (WHERE status = 'timeout') AS timeout_spans,
        max(started_at) AS last_span_at
    FROM trace_stored_spans
) AS spans
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
    'One row: spans in all, lately and by outcome, sizes over all partitions, what writers had to '
    'drop and why, how many writers were seen in the last hour, and how many spans are reported '
    'as open.';
