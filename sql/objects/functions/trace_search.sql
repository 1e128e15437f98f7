-- Traces with a span that fits, those of the newest such span first. Looks backwards from p_to, an hour
-- at first, then at longer times, until there are enough.
--
-- p_attributes holds texts by name: execution_id, job_id, model_id, region, status, error (true for
-- failed and timeout) and error.type are columns, the rest is looked for in the metadata and in its
-- resource.
CREATE OR REPLACE FUNCTION trace_search(
    p_from timestamptz,
    p_to timestamptz,
    p_service text DEFAULT NULL,
    p_operation text DEFAULT NULL,
    p_attributes jsonb DEFAULT NULL,
    p_least_ns bigint DEFAULT NULL,
    p_most_ns bigint DEFAULT NULL,
    p_limit integer DEFAULT 20
)
RETURNS TABLE (trace_id uuid, newest_at timestamptz)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
SET datestyle = 'ISO'
AS $$
#variable_conflict use_column
DECLARE
    v_columns CONSTANT text[] := ARRAY[
        'execution_id', 'job_id', 'model_id', 'region', 'status', 'error', 'error.type'];
    v_until timestamptz := p_to;
    v_since timestamptz;
    v_step interval := '1 hour';
    v_seen uuid[] := '{}';
    v_found record;
BEGIN
    IF p_from IS NULL OR p_to IS NULL OR p_from >= p_to
        OR NOT isfinite(p_from) OR NOT isfinite(p_to) THEN
        RAISE EXCEPTION 'p_from must be before p_to' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_limit IS NULL OR p_limit < 1 OR p_limit > 10000 THEN
        RAISE EXCEPTION 'p_limit must be from 1 to 10000, not %', coalesce(p_limit::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WHILE v_until > p_from AND cardinality(v_seen) < p_limit LOOP
        v_since := greatest(v_until - v_step, p_from);
        FOR v_found IN EXECUTE format(
            'SELECT spans.trace_id, max(spans.started_at) AS newest_at
             FROM trace_waterfall AS spans
             WHERE spans.started_at >= %L AND spans.started_at < %L
               AND ($1 IS NULL OR spans.service = $1)
               AND ($2 IS NULL OR spans.operation = $2)
               AND ($3 IS NULL OR spans.duration_ns >= $3)
               AND ($4 IS NULL OR spans.duration_ns <= $4)
               AND ($5 IS NULL OR NOT EXISTS (
                   SELECT FROM jsonb_each_text($5) AS wanted (name, text)
                   WHERE wanted.text IS DISTINCT FROM CASE
                       WHEN NOT wanted.name = ANY ($6) THEN coalesce(
                           spans.metadata ->> wanted.name,
                           spans.metadata -> ''resource'' ->> wanted.name)
                       WHEN wanted.name = ''execution_id'' THEN spans.execution_id::text
                       WHEN wanted.name = ''job_id'' THEN spans.job_id
                       WHEN wanted.name = ''model_id'' THEN spans.model_id
                       WHEN wanted.name = ''region'' THEN spans.region
                       WHEN wanted.name = ''status'' THEN spans.status
                       WHEN wanted.name = ''error.type'' THEN spans.error_type
                       ELSE (spans.status IN (''failed'', ''timeout''))::text
                   END))
               AND NOT spans.trace_id = ANY ($7)
             GROUP BY spans.trace_id
             ORDER BY max(spans.started_at) DESC, spans.trace_id
             LIMIT $8', v_since, v_until)
        USING p_service, p_operation, p_least_ns, p_most_ns, p_attributes, v_columns, v_seen,
            p_limit - cardinality(v_seen)
        LOOP
            v_seen := v_seen || v_found.trace_id;
            trace_id := v_found.trace_id;
            newest_at := v_found.newest_at;
            RETURN NEXT;
        END LOOP;
        v_until := v_since;
        v_step := v_step * 4;
    END LOOP;
END
$$;

COMMENT ON FUNCTION trace_search(
    timestamptz, timestamptz, text, text, jsonb, bigint, bigint, integer
) IS
    'Ids of traces that have a span of that service, operation, attributes and duration in a time, '
    'the newest first.';

REVOKE ALL ON FUNCTION trace_search(
    timestamptz, timestamptz, text, text, jsonb, bigint, bigint, integer
) FROM PUBLIC;
