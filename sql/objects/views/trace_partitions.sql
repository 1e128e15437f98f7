-- The partitions of trace_spans with their bounds, whoever made them. The bounds are read back from
-- the catalog's text, which carries its offset, so the session's time zone does not matter as long
-- as datestyle is ISO, the default; other styles write zones by names that several zones share.
CREATE OR REPLACE VIEW trace_partitions AS
SELECT
    class.relname AS partition_name,
    (regexp_match(bound.text, 'FROM \(''([^'']+)''\)'))[1]::timestamptz AS starts_at,
    (regexp_match(bound.text, 'TO \(''([^'']+)''\)'))[1]::timestamptz AS ends_at,
    bound.text = 'DEFAULT' AS is_default,
    greatest(class.reltuples, 0)::bigint AS estimated_rows,
    pg_total_relation_size(class.oid) AS total_bytes
FROM pg_inherits AS inherits
JOIN pg_class AS class ON class.oid = inherits.inhrelid
CROSS JOIN LATERAL (SELECT pg_get_expr(class.relpartbound, class.oid)) AS bound (text)
WHERE inherits.inhparent = 'trace_spans'::regclass;

COMMENT ON VIEW trace_partitions IS
    'Partitions of trace_spans: time range, whether it is the default one, rows as last analyzed, '
    'bytes with indexes.';
