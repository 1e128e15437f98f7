-- The spans of an execution, or of one trace, as a forest in display order.
--
-- An execution's spans are those with its execution_id, what lies below them, and the spans of the
-- same traces that carry no execution_id and do not lie below another execution's.
--
-- Looked for are the spans where they are known to lie, in whole days (UTC), since for a part of one
-- the planner would read the index of times as well: an execution's from an hour before its summary
-- begins to the end of the day after it ends; a trace's, whose id is a UUIDv7 and says when it began,
-- from an hour before that to the end of the next day. What is found beyond widens that, to the end
-- of the day after the last end. All times are searched where nothing is found or known, a parent is
-- missing, or there are fewer spans than the summary counted.
CREATE OR REPLACE FUNCTION trace_tree(p_execution_id bigint, p_trace_id uuid DEFAULT NULL)
RETURNS TABLE (
    row_order integer,
    depth integer,
    trace_id uuid,
    span_id uuid,
    parent_span_id uuid,
    service text,
    operation text,
    started_at timestamptz,
    completed_at timestamptz,
    duration_ms integer,
    status text,
    job_id text,
    execution_id bigint,
    model_id text,
    region text,
    metadata jsonb,
    error_message text,
    duration_ns bigint,
    error_type text,
    offset_ns bigint,
    self_time_ns bigint,
    gap_before_ns bigint,
    gap_before_row integer,
    tail_gap_ns bigint,
    tail_gap_row integer,
    overflow_ns bigint,
    parent_row integer,
    last_row integer,
    is_root boolean,
    is_orphan boolean,
    path_hash bigint,
    created_at timestamptz
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET enable_nestloop = off
SET jit = off
-- What is planned once is planned for any execution; the rest is planned each time anyway.
SET plan_cache_mode = force_generic_plan
-- Each planning would read each partition's CHECK constraints, which say nothing about times.
SET constraint_exclusion = off
-- Times become text and time again.
SET datestyle = 'ISO'
AS $$
#variable_conflict use_column
DECLARE
    c_margin CONSTANT interval := '1 hour';
    -- From a midnight to the end of the next day.
    c_more CONSTANT interval := '47:59:59.999999';
    -- Behind these, intervals cannot be added.
    c_first CONSTANT timestamptz := '0001-01-01 00:00+00';
    c_last CONSTANT timestamptz := '9999-12-31 00:00+00';
    v_id text := p_trace_id::text;
    v_since timestamptz;
    v_until timestamptz;
    v_source text := 'trace_spans';
    v_traces uuid[];
    v_found uuid[];
    v_is_partial boolean;
    v_spans trace_waterfall[];
    v_ended_at timestamptz;
    v_is_incomplete boolean;
    v_count bigint;
    v_own bigint;
BEGIN
    IF p_trace_id IS NULL THEN
        SELECT
            greatest(min(started_at), c_first) - c_margin, least(max(ended_at), c_last),
            array_agg(DISTINCT trace_id), sum(spans)
        INTO v_since, v_until, v_traces, v_count
        FROM (
            SELECT started_at, ended_at, trace_id, spans FROM trace_execution_summaries
            WHERE execution_id = p_execution_id
            UNION ALL
            SELECT started_at, now(), trace_id, 0 FROM trace_open_spans
            WHERE execution_id = p_execution_id
        ) AS known;
    ELSIF substr(v_id, 15, 1) = '7' AND substr(v_id, 20, 1) IN ('8', '9', 'a', 'b') THEN
        v_since := to_timestamp(
            ('x' || left(v_id, 8) || substr(v_id, 10, 4))::bit(48)::bigint / 1000.0) - c_margin;
        v_until := v_since + c_margin;
    END IF;
    v_traces := coalesce(v_traces, array_remove(ARRAY[p_trace_id], NULL));
    v_since := coalesce(date_trunc('day', v_since, 'UTC'), '-infinity');
    v_until := coalesce(date_trunc('day', v_until, 'UTC') + c_more, 'infinity');

    LOOP
        -- With the times as constants, so that other days' partitions are not even planned for;
        -- and past trace_waterfall, whose planning would take longer than all else.
        EXECUTE format(
            'SELECT
                 array_agg(ROW(
                     trace_id, span_id, parent_span_id, service, operation, started_at,
                     completed_at, duration_ms, status, job_id, execution_id, model_id, region,
                     metadata, error_message, duration_ns, error_type, created_at
                 )::trace_waterfall),
                 array_agg(DISTINCT trace_id) FILTER (WHERE trace_id <> ALL ($2)),
                 count(*) FILTER (WHERE execution_id = $1),
                 bool_or(
                     (duration_ns >= 0 AND duration_ms >= 0) IS NOT TRUE
                     AND num_nonnulls(duration_ns, duration_ms, completed_at) > 0)
             FROM %I
             WHERE (execution_id = $1 OR trace_id = ANY ($2))
               AND started_at >= %L AND started_at <= %L',
            v_source, v_since, v_until)
        INTO v_spans, v_found, v_own, v_is_partial
        USING CASE WHEN p_trace_id IS NULL THEN p_execution_id END, v_traces;
        -- Traces of it that were not known.
        IF v_found IS NOT NULL THEN
            v_traces := v_traces || v_found;
            CONTINUE;
        END IF;
        -- Tracers write both durations. Those of others are told by the view.
        IF v_is_partial AND v_source = 'trace_spans' THEN
            v_source := 'trace_stored_spans';
            CONTINUE;
        END IF;
        SELECT
            array_agg(
                ROW(spans.*)::trace_waterfall
                ORDER BY started_at, span_id, duration_ns, status, created_at)
        INTO v_spans
        FROM (
            SELECT * FROM unnest(v_spans)
            UNION ALL
            SELECT
                trace_id, span_id, parent_span_id, service, operation, started_at, NULL, NULL,
                'started', job_id, execution_id, model_id, region, metadata, NULL, NULL, NULL,
                reported_at
            FROM trace_open_spans WHERE trace_id = ANY (v_traces)
        ) AS spans;
        EXIT WHEN v_since = '-infinity' AND v_until = 'infinity';
        SELECT
            max(CASE
                WHEN spans.status = 'started' THEN now()
                WHEN spans.completed_at IS NOT NULL THEN least(spans.completed_at, c_last)
                ELSE least(spans.started_at, c_last)
                    + coalesce(spans.duration_ns, 0) / 1000 * interval '1 microsecond'
            END),
            bool_or(spans.parent_span_id IS NOT NULL AND parents.span_id IS NULL)
                -- What sampling left out is nowhere.
                AND bool_and(spans.metadata ->> 'spanring.sampled' IS DISTINCT FROM 'false')
        INTO v_ended_at, v_is_incomplete
        FROM unnest(v_spans) AS spans
        LEFT JOIN unnest(v_spans) AS parents
            ON parents.trace_id = spans.trace_id AND parents.span_id = spans.parent_span_id;
        IF v_spans IS NULL OR v_is_incomplete OR v_own < v_count THEN
            v_since := '-infinity';
            v_until := 'infinity';
            CONTINUE;
        END IF;
        EXIT WHEN least(v_ended_at, c_last) <= v_until;
        v_until := date_trunc('day', least(v_ended_at, c_last), 'UTC') + c_more;
    END LOOP;
    RETURN QUERY SELECT *
    FROM trace_forest(v_spans, CASE WHEN p_trace_id IS NULL THEN p_execution_id END);
END
$$;

COMMENT ON FUNCTION trace_tree(bigint, uuid) IS
    'Spans of an execution, or of one trace, in display order: row_order and depth; self time and '
    'gaps from the union of the children''s intervals; parent_row, last_row of the subtree; '
    'gap_before_row and tail_gap_row are the rows at which the gaps open; path_hash stands for the '
    'names from the root. Orphans and cut cycles are roots; an open span has no self time.';

REVOKE ALL ON FUNCTION trace_tree(bigint, uuid) FROM PUBLIC;
