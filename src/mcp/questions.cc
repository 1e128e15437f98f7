#include "mcp/questions.h"

namespace spanring::mcp {

const char kDiagnosis[] = R"sql(
WITH found AS MATERIALIZED (
    SELECT * FROM diagnose_execution_trace($1::bigint) WITH ORDINALITY
),
chosen AS (
    SELECT * FROM found
    ORDER BY is_anomaly DESC, duration_ms DESC NULLS FIRST, ordinality LIMIT $2::integer
)
SELECT json_build_object(
    'execution_id', $1::bigint,
    'execution', (
        SELECT row_to_json(answer) FROM trace_executions AS answer
        WHERE answer.execution_id = $1::bigint),
    'causes', (
        SELECT coalesce(json_agg(row_to_json(answer) ORDER BY answer.rank), '[]')
        FROM (SELECT * FROM identify_root_cause($1::bigint) LIMIT 10) AS answer),
    'operations', (
        SELECT coalesce(
            json_agg(
                json_build_object(
                    'position', ordinality, 'depth', depth, 'service', service,
                    'operation', operation, 'status', status, 'duration_ms', duration_ms,
                    'self_time_ms', self_time_ms, 'gap_before_ms', gap_before_ms,
                    'gap_after_ms', gap_after_ms, 'baseline_ms', baseline_ms,
                    'baseline_samples', baseline_samples, 'is_anomaly', is_anomaly,
                    'anomaly_reason', anomaly_reason, 'error_type', error_type,
                    'error_message', left(error_message, 1000), 'span_id', span_id,
                    'trace_id', trace_id)
                ORDER BY ordinality),
            '[]')
        FROM chosen),
    'operations_total', count(*), 'anomalies', count(*) FILTER (WHERE is_anomaly),
    'spans_dropped', max(spans_dropped))
FROM found
HAVING count(*) > 0)sql";

const char kTimeout[] = R"sql(
WITH asked AS MATERIALIZED (
    SELECT coalesce(
        $1::bigint,
        (
            SELECT execution_id FROM trace_executions
            WHERE job_id = $2 AND status IN ('timeout', 'failed')
            ORDER BY status = 'timeout' DESC, started_at DESC LIMIT 1
        )) AS id
),
causes AS MATERIALIZED (
    SELECT answer.* FROM asked CROSS JOIN LATERAL identify_root_cause(asked.id) AS answer LIMIT 10
),
waited AS (
    SELECT
        answer.span_id, answer.service, answer.operation, answer.status,
        sum(answer.length_ns) AS length_ns
    FROM asked CROSS JOIN LATERAL trace_critical_path(asked.id) AS answer
    GROUP BY answer.span_id, answer.service, answer.operation, answer.status
)
SELECT json_build_object(
    'execution_id', asked.id,
    'execution', (
        SELECT row_to_json(answer) FROM trace_executions AS answer
        WHERE answer.execution_id = asked.id),
    'causes', (SELECT coalesce(json_agg(row_to_json(causes) ORDER BY rank), '[]') FROM causes),
    'longest_gaps', (
        SELECT coalesce(
            json_agg(
                json_build_object(
                    'kind', kind, 'gap_ms', gap_ms, 'from_service', from_service,
                    'from_operation', from_operation, 'to_service', to_service,
                    'to_operation', to_operation, 'between_services', between_services,
                    'from_span_id', from_span_id, 'to_span_id', to_span_id)
                ORDER BY gap_ns DESC),
            '[]')
        FROM (
            SELECT * FROM trace_gaps(asked.id) WHERE kind <> 'overflow' ORDER BY gap_ns DESC LIMIT 5
        ) AS gaps),
    'waited_for', (
        SELECT coalesce(
            json_agg(
                json_build_object(
                    'service', service, 'operation', operation, 'status', status,
                    'span_id', span_id, 'self_ms', round(length_ns / 1e6, 3))
                ORDER BY length_ns DESC),
            '[]')
        FROM (SELECT * FROM waited ORDER BY length_ns DESC LIMIT 5) AS longest))
FROM asked
WHERE asked.id IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM causes WHERE root_cause_type = 'UNKNOWN' AND affected_service IS NULL))sql";

const char kComparison[] = R"sql(
WITH own AS MATERIALIZED (
    SELECT * FROM trace_executions WHERE execution_id = $1::bigint
),
near AS (
    SELECT before.*
    FROM own
    CROSS JOIN LATERAL (
        SELECT * FROM trace_execution_summaries AS summaries
        WHERE summaries.started_at <= own.started_at
          AND summaries.execution_id <> own.execution_id
        ORDER BY summaries.started_at DESC LIMIT 500
    ) AS before
    UNION ALL
    SELECT behind.*
    FROM own
    CROSS JOIN LATERAL (
        SELECT * FROM trace_execution_summaries AS summaries
        WHERE summaries.started_at > own.started_at
        ORDER BY summaries.started_at LIMIT 500
    ) AS behind
),
reference AS MATERIALIZED (
    SELECT
        answer.*,
        near.model_id IS NOT DISTINCT FROM own.model_id AS same_model,
        near.region IS NOT DISTINCT FROM own.region AS same_region
    FROM own
    CROSS JOIN near
    JOIN trace_executions AS answer ON answer.execution_id = near.execution_id
    WHERE near.root_service IS NOT DISTINCT FROM own.root_service
      AND near.root_operation IS NOT DISTINCT FROM own.root_operation
      AND answer.status = 'completed'
    ORDER BY
        near.model_id IS NOT DISTINCT FROM own.model_id DESC,
        near.region IS NOT DISTINCT FROM own.region DESC,
        near.failed_spans + near.timeout_spans,
        abs(extract(epoch FROM near.started_at - own.started_at))
    LIMIT 1
),
operations AS MATERIALIZED (
    SELECT answer.*
    FROM reference
    CROSS JOIN LATERAL compare_operations($1::bigint, reference.execution_id) AS answer
),
spans AS MATERIALIZED (
    SELECT answer.*
    FROM reference
    CROSS JOIN LATERAL compare_executions($1::bigint, reference.execution_id) AS answer
)
SELECT json_build_object(
    'execution', row_to_json(own),
    'reference', (SELECT row_to_json(reference) FROM reference),
    'operations', (
        SELECT coalesce(
            json_agg(
                json_build_object(
                    'service', service, 'operation', operation, 'spans', spans_a,
                    'reference_spans', spans_b, 'self_time_ms', self_time_a_ms,
                    'reference_self_time_ms', self_time_b_ms, 'longer_by_ms', -difference_ms,
                    'failures', failures_a, 'reference_failures', failures_b)
                ORDER BY abs(difference_ms) DESC NULLS LAST),
            '[]')
        FROM (
            SELECT * FROM operations ORDER BY abs(difference_ms) DESC NULLS LAST LIMIT $2::integer
        ) AS chosen),
    'operations_total', (SELECT count(*) FROM operations),
    'only_here', (SELECT count(*) FROM spans WHERE presence = 'a'),
    'only_in_reference', (SELECT count(*) FROM spans WHERE presence = 'b'),
    'other_status', (
        SELECT coalesce(
            json_agg(
                json_build_object(
                    'service', service, 'operation', operation, 'status', status_a,
                    'reference_status', status_b, 'error', left(error_a, 1000),
                    'span_id', span_id_a, 'reference_span_id', span_id_b)
                ORDER BY row_order),
            '[]')
        FROM (
            SELECT * FROM spans WHERE presence = 'both' AND status_a <> status_b
            ORDER BY row_order LIMIT 10
        ) AS chosen))
FROM own)sql";

const char kFailures[] = R"sql(
SELECT json_build_object('failures', coalesce(
    json_agg(
        json_build_object(
            'execution_id', execution_id, 'status', status, 'started_at', started_at,
            'duration_ms', duration_ms, 'spans', spans, 'job_id', job_id, 'model_id', model_id,
            'region', region, 'root_service', root_service, 'root_operation', root_operation,
            'trace_id', trace_id, 'root_cause_type', cause.root_cause_type,
            'affected_service', cause.affected_service,
            'affected_operation', cause.affected_operation, 'confidence', cause.confidence,
            'span_ids', coalesce(to_json(cause.span_ids), '[]'))
        ORDER BY started_at DESC, execution_id DESC),
    '[]'))
FROM (
    SELECT * FROM trace_executions WHERE status IN ('failed', 'timeout')
    ORDER BY started_at DESC, execution_id DESC LIMIT $1::integer
) AS failures
-- Of very long ones the cause is told when asked for.
LEFT JOIN LATERAL (
    SELECT * FROM identify_root_cause(failures.execution_id) WHERE failures.spans <= 5000 LIMIT 1
) AS cause ON true)sql";

const char kPerformance[] = R"sql(
WITH executions AS MATERIALIZED (
    SELECT
        execution_id, model_id, region, status, duration_ms, started_at,
        started_at >= now() - make_interval(hours => $1::integer) AS is_now
    FROM trace_executions
    WHERE started_at >= now() - 2 * make_interval(hours => $1::integer)
      AND ($2::text IS NULL OR model_id = $2)
      AND ($3::text IS NULL OR region = $3)
),
counted AS (
    SELECT
        grouping(model_id, region) = 3 AS is_all, model_id, region,
        count(*) FILTER (WHERE is_now) AS executions,
        count(*) FILTER (WHERE is_now AND status = 'failed') AS failed,
        count(*) FILTER (WHERE is_now AND status = 'timeout') AS timeouts,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms) FILTER (WHERE is_now) AS p50_ms,
        percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) FILTER (WHERE is_now) AS p95_ms,
        max(duration_ms) FILTER (WHERE is_now) AS max_ms,
        count(*) FILTER (WHERE NOT is_now) AS executions_before,
        count(*) FILTER (WHERE NOT is_now AND status IN ('failed', 'timeout')) AS failed_before,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms)
            FILTER (WHERE NOT is_now) AS p50_before_ms,
        percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms)
            FILTER (WHERE NOT is_now) AS p95_before_ms
    FROM executions
    GROUP BY GROUPING SETS ((), (model_id, region))
),
groups AS (
    SELECT * FROM counted WHERE NOT is_all AND executions > 0
)
SELECT json_build_object(
    'hours', $1::integer, 'all', row_to_json(total),
    'groups', (
        SELECT coalesce(
            json_agg(row_to_json(worst) ORDER BY failed + timeouts DESC, executions DESC), '[]')
        FROM (
            SELECT * FROM groups ORDER BY failed + timeouts DESC, executions DESC LIMIT 20
        ) AS worst),
    'groups_total', (SELECT count(*) FROM groups),
    'slowest', (
        SELECT coalesce(json_agg(row_to_json(slow) ORDER BY duration_ms DESC), '[]')
        FROM (
            SELECT execution_id, model_id, region, status, duration_ms
            FROM executions WHERE is_now AND duration_ms IS NOT NULL
            ORDER BY duration_ms DESC LIMIT 5
        ) AS slow))
FROM counted AS total
WHERE total.is_all)sql";

const char kGaps[] = R"sql(
WITH spans AS (
    SELECT count(*) AS spans FROM trace_tree(NULL, $1::uuid)
),
gaps AS MATERIALIZED (
    SELECT * FROM trace_gaps(NULL, $1::uuid)
),
uncovered AS (
    SELECT * FROM gaps WHERE kind <> 'overflow'  -- That is a child that outlived its parent.
)
SELECT json_build_object(
    'trace_id', $1::uuid, 'spans', spans.spans,
    'gaps', (
        SELECT coalesce(
            json_agg(
                json_build_object(
                    'kind', kind, 'gap_ms', gap_ms, 'started_at', started_at,
                    'ended_at', ended_at, 'from_service', from_service,
                    'from_operation', from_operation, 'to_service', to_service,
                    'to_operation', to_operation, 'between_services', between_services,
                    'from_span_id', from_span_id, 'to_span_id', to_span_id,
                    'parent_span_id', parent_span_id)
                ORDER BY gap_ns DESC),
            '[]')
        FROM (SELECT * FROM uncovered ORDER BY gap_ns DESC LIMIT $2::integer) AS longest),
    'gaps_total', (SELECT count(*) FROM uncovered),
    'gaps_between_services', (SELECT count(*) FROM uncovered WHERE between_services),
    'outlived', (SELECT count(*) FROM gaps WHERE kind = 'overflow'))
FROM spans
WHERE spans.spans > 0)sql";

const char kTrace[] = R"sql(
WITH tree AS MATERIALIZED (
    SELECT * FROM trace_tree($1::bigint, $2::uuid)
),
chosen AS (
    SELECT * FROM tree
    ORDER BY status = 'completed', duration_ns DESC NULLS FIRST, row_order LIMIT $3::integer
)
SELECT json_build_object(
    'execution_id', (SELECT min(execution_id) FROM tree),
    'trace_ids', (
        SELECT json_agg(trace_id) FROM (SELECT DISTINCT trace_id FROM tree LIMIT 20) AS ids),
    'spans', (
        SELECT json_agg(
            json_build_object(
                'position', row_order, 'depth', depth, 'span_id', span_id,
                'parent_span_id', parent_span_id, 'service', service, 'operation', operation,
                'status', status, 'started_at', started_at,
                'offset_ms', round(offset_ns / 1e6, 3), 'duration_ms', duration_ms,
                'self_time_ms', round(self_time_ns / 1e6, 3), 'error_type', error_type,
                'error_message', left(error_message, 1000),
                'attributes', nullif(left(metadata::text, 1000), '{}'))
            ORDER BY row_order)
        FROM chosen),
    'spans_total', count(*),
    'failed_total', count(*) FILTER (WHERE status IN ('failed', 'timeout')),
    'started_at', min(started_at),
    'open_total', count(*) FILTER (WHERE status = 'started'))
FROM tree
HAVING count(*) > 0)sql";

const char kOperations[] = R"sql(
WITH found AS MATERIALIZED (
    SELECT
        service, operation, spans, failed, timeouts, average_ms, p50_ms, p95_ms, p99_ms, max_ms,
        total_ms
    FROM trace_operation_latencies(
        now() - make_interval(hours => $1::integer), now(), $2::text)
    WHERE starts_at IS NULL
)
SELECT json_build_object(
    'hours', $1::integer,
    'operations', (
        SELECT coalesce(json_agg(row_to_json(longest) ORDER BY total_ms DESC NULLS LAST), '[]')
        FROM (
            SELECT * FROM found ORDER BY total_ms DESC NULLS LAST LIMIT $3::integer
        ) AS longest),
    'operations_total', (SELECT count(*) FROM found)))sql";

const char kHealth[] = R"sql(
SELECT json_build_object(
    'total_spans', total_spans, 'spans_last_24h', spans_last_24h,
    'spans_last_hour', spans_last_hour, 'unique_traces', unique_traces,
    'failed_spans', failed_spans, 'timeout_spans', timeout_spans, 'open_spans', open_spans,
    'spans_dropped', spans_dropped, 'drops_by_reason', drops_by_reason,
    'spans_sampled_out', spans_sampled_out, 'writers_active', writers_active,
    'writers_seen', writers_seen, 'last_span_at', last_span_at,
    'last_span_age_s', round(extract(epoch FROM now() - last_span_at)),
    'total_bytes', total_bytes, 'total_size', total_size_with_indexes)
FROM trace_spans_health)sql";

const char kSchema[] = R"sql(
WITH home AS (
    SELECT relnamespace AS oid FROM pg_class WHERE oid = to_regclass('trace_spans')
),
relations AS (
    SELECT
        json_build_object(
            'name', class.relname, 'kind', CASE class.relkind WHEN 'v' THEN 'view' ELSE 'table' END,
            'comment', obj_description(class.oid, 'pg_class'),
            'columns', (
                SELECT json_agg(
                    json_build_object(
                        'name', attname, 'type', format_type(atttypid, atttypmod),
                        'comment', col_description(class.oid, attnum))
                    ORDER BY attnum)
                FROM pg_attribute
                WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped)) AS said,
        class.relname AS name
    FROM pg_class AS class
    JOIN home ON home.oid = class.relnamespace
    WHERE class.relkind IN ('r', 'p', 'v') AND NOT class.relispartition
      AND class.relname LIKE 'trace\_%'
      AND has_table_privilege(class.oid, 'SELECT')
),
functions AS (
    SELECT
        json_build_object(
            'name', proc.proname, 'arguments', pg_get_function_arguments(proc.oid),
            'returns', pg_get_function_result(proc.oid),
            'comment', obj_description(proc.oid, 'pg_proc')) AS said,
        proc.proname AS name
    FROM pg_proc AS proc
    JOIN home ON home.oid = proc.pronamespace
    WHERE proc.prokind = 'f' AND proc.provolatile <> 'v'
      AND proc.proname ~ '^(trace|diagnose|identify|find|compare)_'
      AND has_function_privilege(proc.oid, 'EXECUTE')
)
SELECT json_build_object(
    'relations', (SELECT json_agg(said ORDER BY name) FROM relations),
    'functions', (SELECT json_agg(said ORDER BY name) FROM functions))
FROM home)sql";

}  // namespace spanring::mcp
