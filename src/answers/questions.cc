#include "answers/questions.h"

namespace spanring::answers {

const char kExecutions[] = R"sql(
SELECT json_build_object(
    'executions', coalesce(json_agg(row_to_json(page)), '[]'),
    'has_more', count(*) >= $1::integer)
FROM (
    SELECT
        executions.*,
        -- Of very long ones the cause is told when asked for.
        CASE WHEN $13::boolean AND status <> 'completed' AND spans <= 5000 THEN (
            SELECT row_to_json(first)
            FROM (
                SELECT
                    answer.root_cause_type, answer.affected_service, answer.affected_operation,
                    answer.confidence
                FROM identify_root_cause(execution_id) AS answer LIMIT 1
            ) AS first
        ) END AS cause
    FROM trace_executions AS executions
    WHERE ($2::text IS NULL OR status = ANY (string_to_array($2, ',')))
      AND ($3::text IS NULL OR job_id = $3)
      AND ($4::text IS NULL OR model_id = $4)
      AND ($5::text IS NULL OR region = $5)
      AND ($6::text IS NULL OR $6 = ANY (services))
      AND ($7::timestamptz IS NULL OR started_at >= $7)
      AND ($8::timestamptz IS NULL OR started_at < $8)
      AND ($9::bigint IS NULL OR duration_ms >= $9)
      AND ($10::timestamptz IS NULL OR (started_at, execution_id) < ($10, $11::bigint))
      AND ($12::bigint[] IS NULL OR execution_id = ANY ($12))
    ORDER BY started_at DESC, execution_id DESC
    LIMIT $1::integer
) AS page)sql";

const char kExecution[] = R"sql(
SELECT row_to_json(answer) FROM trace_executions AS answer
WHERE execution_id = $1::bigint)sql";

const char kDiagnosis[] = R"sql(
SELECT json_build_object(
    'execution_id', $1::bigint, 'operations', json_agg(row_to_json(answer)),
    'anomalies', count(*) FILTER (WHERE answer.is_anomaly))
FROM diagnose_execution_trace($1::bigint) AS answer
HAVING count(*) > 0)sql";

const char kRootCause[] = R"sql(
SELECT json_build_object(
    'execution_id', $1::bigint, 'causes', coalesce(json_agg(row_to_json(answer)), '[]'))
FROM identify_root_cause($1::bigint) AS answer)sql";

const char kNetwork[] = R"sql(
SELECT json_build_object(
    'execution_id', $1::bigint, 'calls', coalesce(json_agg(row_to_json(answer)), '[]'))
FROM trace_network_times($1::bigint) AS answer)sql";

// What all spans have in common is said once, what is NULL or false not at all; what no reader of
// rows needs twice is left out of gaps and paths. Nulls among the attributes stay.
const char kTrace[] = R"sql(
WITH tree AS MATERIALIZED (
    SELECT * FROM trace_tree($1::bigint, $2::uuid) ORDER BY row_order
),
columns AS MATERIALIZED (
    SELECT
        array_agg(parent_row) AS parent_row, array_agg(service) AS service,
        array_agg(status) AS status, array_agg(started_at) AS started_at,
        array_agg(completed_at) AS completed_at, array_agg(offset_ns) AS offset_ns,
        array_agg(duration_ns) AS duration_ns, array_agg(gap_before_ns) AS gap_before_ns,
        array_agg(gap_before_row) AS gap_before_row, array_agg(tail_gap_ns) AS tail_gap_ns,
        array_agg(tail_gap_row) AS tail_gap_row, array_agg(overflow_ns) AS overflow_ns
    FROM tree
),
common AS MATERIALIZED (
    SELECT
        CASE WHEN cardinality(trace_ids) = 1 THEN trace_ids[1] END AS trace_id, trace_ids,
        job_id, execution_id, model_id, region
    FROM (
        SELECT
            array_agg(DISTINCT trace_id) AS trace_ids,
            CASE WHEN min(job_id) = max(job_id) AND count(job_id) = count(*)
                THEN min(job_id) END AS job_id,
            CASE WHEN min(execution_id) = max(execution_id) AND count(execution_id) = count(*)
                THEN min(execution_id) END AS execution_id,
            CASE WHEN min(model_id) = max(model_id) AND count(model_id) = count(*)
                THEN min(model_id) END AS model_id,
            CASE WHEN min(region) = max(region) AND count(region) = count(*)
                THEN min(region) END AS region
        FROM tree
    ) AS counted
),
skew AS MATERIALIZED (
    SELECT skew.*
    FROM columns
    CROSS JOIN LATERAL trace_tree_skew(
        parent_row, service, status, started_at, completed_at, offset_ns, duration_ns) AS skew
),
spans AS (
    SELECT tree.row_order, metadata, json_strip_nulls(row_to_json(span))::text AS span
    FROM tree
    JOIN skew USING (row_order)
    CROSS JOIN common
    CROSS JOIN LATERAL (
        SELECT
            row_order, depth, parent_row, last_row,
            nullif(tree.trace_id, common.trace_id) AS trace_id, span_id, parent_span_id,
            nullif(is_orphan, false) AS is_orphan, service, operation, status,
            nullif(tree.job_id, common.job_id) AS job_id,
            nullif(tree.execution_id, common.execution_id) AS execution_id,
            nullif(tree.model_id, common.model_id) AS model_id,
            nullif(tree.region, common.region) AS region,
            started_at, completed_at, offset_ns, duration_ns, self_time_ns,
            nullif(shift_ns, 0) AS shift_ns, reason AS shift_reason, error_type, error_message
    ) AS span
),
shifted AS MATERIALIZED (
    SELECT array_agg(offset_ns + shift_ns ORDER BY row_order) AS offset_ns
    FROM tree
    JOIN skew USING (row_order)
    HAVING bool_or(shift_ns <> 0)
),
gaps AS MATERIALIZED (
    SELECT false AS is_adjusted, row_to_json(gap) AS gap
    FROM columns
    CROSS JOIN LATERAL trace_tree_gaps(
        parent_row, offset_ns, duration_ns, gap_before_ns, gap_before_row, tail_gap_ns,
        tail_gap_row, overflow_ns) AS gap
    UNION ALL
    SELECT true, row_to_json(gap)
    FROM columns
    CROSS JOIN shifted
    CROSS JOIN LATERAL trace_tree_shifted_gaps(
        parent_row, status, shifted.offset_ns, duration_ns) AS gap
),
paths AS MATERIALIZED (
    SELECT
        is_adjusted, root_row, is_main_root,
        json_agg(
            json_build_object(
                'row_order', row_order, 'offset_ns', path.offset_ns, 'length_ns', length_ns)
            ORDER BY segment) AS segments
    FROM columns
    CROSS JOIN (
        SELECT false AS is_adjusted, offset_ns FROM columns
        UNION ALL
        SELECT true, offset_ns FROM shifted
    ) AS starts
    CROSS JOIN LATERAL trace_tree_path(
        parent_row, status, started_at, completed_at, starts.offset_ns, duration_ns) AS path
    GROUP BY is_adjusted, root_row, is_main_root
),
covers AS (
    SELECT
        is_adjusted,
        (SELECT coalesce(json_agg(gap), '[]')
         FROM gaps WHERE gaps.is_adjusted = asked.is_adjusted) AS gaps,
        (SELECT json_agg(
             json_build_object(
                 'root_row', root_row, 'is_main_root', is_main_root, 'segments', segments)
             ORDER BY is_main_root DESC, root_row)
         FROM paths WHERE paths.is_adjusted = asked.is_adjusted) AS critical_paths
    FROM (VALUES (false), (true)) AS asked (is_adjusted)
)
SELECT json_build_object(
    'execution_id', $1::bigint,
    'trace_ids', (SELECT trace_ids FROM common),
    'common', (
        SELECT json_strip_nulls(json_build_object(
            'trace_id', trace_id, 'job_id', job_id, 'execution_id', execution_id,
            'model_id', model_id, 'region', region))
        FROM common),
    'spans', (
        SELECT json_agg(
            (left(span, -1) || coalesce(',"metadata":' || metadata::text, '') || '}')::json
            ORDER BY row_order)
        FROM spans),
    'gaps', recorded.gaps,
    'critical_paths', recorded.critical_paths,
    'adjusted', (
        SELECT json_build_object('gaps', gaps, 'critical_paths', critical_paths)
        FROM covers
        WHERE is_adjusted AND EXISTS (SELECT FROM shifted)),
    'spans_dropped', dropped.spans, 'drop_reasons', dropped.by_reason)
FROM (
    SELECT
        array_agg(DISTINCT created_at) AS created_at, min(started_at) AS since,
        max(CASE status
            WHEN 'started' THEN now() ELSE coalesce(completed_at, started_at) END) AS until,
        array_agg(DISTINCT trace_id) FILTER (WHERE status = 'started') AS traces
    FROM tree
) AS met
CROSS JOIN LATERAL trace_dropped(met.created_at, met.traces, met.since, met.until) AS dropped
CROSS JOIN covers AS recorded
WHERE NOT recorded.is_adjusted AND EXISTS (SELECT FROM tree))sql";

const char kSimilar[] = R"sql(
SELECT json_build_object(
    'execution_id', $1::bigint, 'executions', coalesce(json_agg(row_to_json(answer)), '[]'))
FROM find_similar_traces($1::bigint, $2::integer) AS answer)sql";

const char kComparison[] = R"sql(
SELECT json_build_object(
    'a', (SELECT row_to_json(a) FROM trace_executions AS a WHERE execution_id = $1::bigint),
    'b', (SELECT row_to_json(b) FROM trace_executions AS b WHERE execution_id = $2::bigint),
    'spans', (
        SELECT coalesce(json_agg(row_to_json(answer) ORDER BY answer.row_order), '[]')
        FROM compare_executions($1::bigint, $2::bigint) AS answer),
    'operations', (
        SELECT coalesce(json_agg(row_to_json(answer)), '[]')
        FROM compare_operations($1::bigint, $2::bigint) AS answer)))sql";

const char kOperations[] = R"sql(
SELECT json_build_object(
    'from', $1::timestamptz, 'to', $2::timestamptz,
    'operations', coalesce(json_agg(row_to_json(answer)), '[]'))
FROM trace_operation_latencies($1::timestamptz, $2::timestamptz, $3::text) AS answer)sql";

const char kHealth[] = R"sql(
SELECT json_build_object(
    'health', (SELECT row_to_json(health) FROM trace_spans_health AS health),
    'writers', (
        SELECT coalesce(json_agg(row_to_json(answer)), '[]')
        FROM (SELECT * FROM trace_writers ORDER BY last_seen_at DESC LIMIT 100) AS answer),
    'partitions', (
        SELECT coalesce(json_agg(row_to_json(answer)), '[]')
        FROM (SELECT * FROM trace_partitions ORDER BY starts_at DESC NULLS LAST LIMIT 100) AS answer)
))sql";

const char kJaegerServices[] = R"sql(
SELECT json_build_object(
    'data', coalesce(json_agg(service ORDER BY service), '[]'), 'total', count(*), 'limit', 0,
    'offset', 0, 'errors', NULL)
FROM (SELECT DISTINCT service FROM trace_rollups WHERE hours = 24) AS known)sql";

const char kJaegerOperationNames[] = R"sql(
SELECT json_build_object(
    'data', coalesce(json_agg(operation ORDER BY operation), '[]'), 'total', count(*), 'limit', 0,
    'offset', 0, 'errors', NULL)
FROM (SELECT DISTINCT operation FROM trace_rollups WHERE hours = 24 AND service = $1) AS known)sql";

const char kJaegerOperations[] = R"sql(
SELECT json_build_object(
    'data', coalesce(
        json_agg(json_build_object('name', operation, 'spanKind', '') ORDER BY operation), '[]'),
    'total', count(*), 'limit', 0, 'offset', 0, 'errors', NULL)
FROM (SELECT DISTINCT operation FROM trace_rollups WHERE hours = 24 AND service = $1) AS known)sql";

const char kJaegerSearch[] = R"sql(
SELECT json_build_object(
    'data', trace_to_jaeger(ARRAY(
        SELECT trace_id
        FROM trace_search(
            $1::timestamptz, $2::timestamptz, $3, $4, $5::jsonb, $6::bigint, $7::bigint,
            $8::integer))),
    'total', 0, 'limit', 0, 'offset', 0, 'errors', NULL))sql";

const char kJaegerTraces[] = R"sql(
SELECT json_build_object('data', data, 'total', 0, 'limit', 0, 'offset', 0, 'errors', NULL)
FROM trace_to_jaeger($1::uuid[]) AS data
WHERE data <> '[]')sql";

const char kJaegerDependencies[] = R"sql(
SELECT json_build_object(
    'data', coalesce(
        json_agg(json_build_object('parent', parent, 'child', child, 'callCount', calls)), '[]'),
    'total', 0, 'limit', 0, 'offset', 0, 'errors', NULL)
FROM trace_dependencies($1::timestamptz, $2::timestamptz))sql";

const char kJaegerServicesV3[] = R"sql(
SELECT json_build_object('services', coalesce(json_agg(service ORDER BY service), '[]'))
FROM (SELECT DISTINCT service FROM trace_rollups WHERE hours = 24) AS known)sql";

const char kJaegerOperationsV3[] = R"sql(
SELECT json_build_object(
    'operations', coalesce(
        json_agg(json_build_object('name', operation, 'spanKind', '') ORDER BY operation), '[]'))
FROM (SELECT DISTINCT operation FROM trace_rollups WHERE hours = 24 AND service = $1) AS known)sql";

const char kJaegerSearchV3[] = R"sql(
SELECT json_build_object('result', result)
FROM trace_to_otlp(ARRAY(
    SELECT trace_id
    FROM trace_search(
        $1::timestamptz, $2::timestamptz, $3, $4, $5::jsonb, $6::bigint, $7::bigint, $8::integer)
)) AS result
WHERE result -> 'resourceSpans' <> '[]')sql";

const char kJaegerTracesV3[] = R"sql(
SELECT json_build_object('result', result)
FROM trace_to_otlp($1::uuid[]) AS result
WHERE result -> 'resourceSpans' <> '[]')sql";

const char kJaegerSummaries[] = R"sql(
WITH found AS (
    SELECT trace_id, row_number() OVER () AS n
    FROM trace_search(
        $1::timestamptz, $2::timestamptz, $3, $4, $5::jsonb, $6::bigint, $7::bigint, $8::integer)
),
spans AS MATERIALIZED (
    SELECT
        found.n, tree.*, tree.status IN ('failed', 'timeout') AS is_failed
    FROM found
    CROSS JOIN LATERAL trace_tree(NULL, found.trace_id) AS tree
),
services AS (
    SELECT
        n,
        json_agg(
            json_build_object('name', service, 'spanCount', spans, 'errorSpanCount', failed)
            ORDER BY service) AS services
    FROM (
        SELECT n, service, count(*) AS spans, count(*) FILTER (WHERE is_failed) AS failed
        FROM spans GROUP BY n, service
    ) AS counted
    GROUP BY n
),
traces AS (
    SELECT
        n, replace(min(trace_id::text), '-', '') AS trace_hex,
        (array_agg(service ORDER BY row_order))[1] AS service,
        (array_agg(operation ORDER BY row_order))[1] AS operation,
        (trace_unix_us(min(started_at)) * 1000)::text AS since,
        (trace_unix_us(max(coalesce(completed_at, started_at))) * 1000)::text AS until,
        count(*) AS spans, count(*) FILTER (WHERE is_failed) AS failed,
        count(*) FILTER (WHERE is_orphan) AS orphans
    FROM spans GROUP BY n
)
SELECT json_build_object('summaries', coalesce(
    json_agg(
        json_build_object(
            'traceId', traces.trace_hex, 'rootServiceName', traces.service,
            'rootOperationName', traces.operation, 'minStartTimeUnixNano', traces.since,
            'maxEndTimeUnixNano', traces.until, 'spanCount', traces.spans,
            'errorSpanCount', traces.failed, 'orphanSpanCount', traces.orphans,
            'services', services.services)
        ORDER BY traces.n),
    '[]'))
FROM traces JOIN services USING (n))sql";

}  // namespace spanring::answers
