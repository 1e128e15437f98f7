-- Spans as a forest in display order; trace_tree is this for what is stored.
--
-- p_spans in order of time, the spans of whole traces; the index of each is its number. Of these
-- an execution's are those with its execution_id, what lies below them, and those that carry no
-- execution_id and do not lie below another execution's; all of them where p_execution_id is NULL.
--
-- Positions are microseconds after the first span. PostgreSQL guesses the size of an array, hence
-- no nested loops.
CREATE OR REPLACE FUNCTION trace_forest(p_spans trace_waterfall[], p_execution_id bigint)
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
-- In a plan for given arrays these would be constants, in which finding element n takes n steps.
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    c_never CONSTANT bigint := 2000000000000000;  -- the end of an open span: 63 years later
    -- Whose a span is: another execution's; nobody's, here or above; ours, or below one of ours.
    c_other CONSTANT integer := 0;
    c_shared CONSTANT integer := 1;
    c_ours CONSTANT integer := 2;
    v_count integer := coalesce(cardinality(p_spans), 0);
    v_first_us numeric := 0;
    -- Indexed by span number. 0 is no span: the parent of all roots, the end of a list. Lists of
    -- children, and what is found by them, have an element 0; elsewhere that is NULL.
    v_none integer[];
    v_nothing bigint[];
    v_start bigint[];
    v_end bigint[];
    v_execution bigint[];
    v_name_hash bigint[];
    v_parent integer[];
    v_first_child integer[];
    v_last_child integer[];
    v_next_sibling integer[];
    v_latest_child integer[];
    v_latest_end bigint[];
    v_covered bigint[];
    v_gap bigint[];
    v_gap_opener integer[];
    v_owner integer[];
    v_row integer[];
    v_last_row integer[];
    v_depth integer[];
    v_path bigint[];
    v_seen integer[];
    v_node integer;
    v_above integer;
    v_lowest integer;
    v_rows integer;
    v_free_from bigint;
    v_us bigint;
BEGIN
    IF v_count = 0 THEN
        RETURN;
    END IF;
    FOR v_number IN 1..v_count LOOP
        IF isfinite((p_spans[v_number]).started_at) THEN
            -- PostgreSQL 13 counts seconds in floating point.
            v_first_us := least(greatest(
                round(extract(epoch FROM (p_spans[v_number]).started_at) * 1e6), -9.2e18), 9.2e18
            )::bigint;
            EXIT;
        END IF;
    END LOOP;

    -- 1. Positions, and each span's parent: the first span of the trace that has the id. Zipkin
    --    gives both ends of a call one id: there the server's end is the client's child, and the
    --    parent of what lies below.
    WITH spans AS MATERIALIZED (
        SELECT
            n::integer, trace_id, span_id, parent_span_id, execution_id,
            lower(metadata ->> 'span.kind') AS kind,
            hashtextextended(service || chr(31) || operation, 0) AS name_hash,
            round(extract(epoch FROM started_at) * 1e6) - v_first_us AS start_us,
            CASE
                WHEN status = 'started' THEN c_never
                WHEN completed_at IS NOT NULL
                    THEN round(extract(epoch FROM completed_at) * 1e6) - v_first_us
                ELSE round(extract(epoch FROM started_at) * 1e6) - v_first_us
                    + coalesce(duration_ns, 0) / 1000
            END AS end_us
        FROM ROWS FROM (unnest(p_spans)) WITH ORDINALITY AS spans (
            trace_id, span_id, parent_span_id, service, operation, started_at, completed_at,
            duration_ms, status, job_id, execution_id, model_id, region, metadata, error_message,
            duration_ns, error_type, created_at, n)
    ),
    ids AS (
        SELECT
            trace_id, span_id,
            min(n) AS first,
            min(n) FILTER (WHERE kind = 'client') AS client,
            min(n) FILTER (WHERE kind = 'server') AS server
        FROM spans
        GROUP BY trace_id, span_id
    ),
    owners AS (
        SELECT
            trace_id, span_id, client,
            CASE WHEN client IS NOT NULL THEN server END AS server,
            coalesce(CASE WHEN client IS NOT NULL THEN server END, first) AS n
        FROM ids
    )
    SELECT
        array_agg(start_us), array_agg(end_us), array_agg(execution_id), array_agg(name_hash),
        array_agg(parent)
    INTO v_start, v_end, v_execution, v_name_hash, v_parent
    FROM (
        SELECT
            least(greatest(start_us, -c_never), c_never)::bigint AS start_us,
            least(greatest(start_us, end_us, -c_never), c_never)::bigint AS end_us,
            execution_id,
            name_hash,
            CASE
                WHEN calls.n IS NOT NULL THEN calls.client
                WHEN owners.n <> spans.n THEN owners.n
                ELSE 0
            END AS parent
        FROM spans
        LEFT JOIN owners
            ON owners.trace_id = spans.trace_id AND owners.span_id = spans.parent_span_id
        LEFT JOIN owners AS calls ON calls.server = spans.n
        ORDER BY spans.n
    ) AS sorted;

    v_none := array_fill(0, ARRAY[v_count + 1], ARRAY[0]);
    v_nothing := array_fill(0::bigint, ARRAY[v_count + 1], ARRAY[0]);
    LOOP
        -- 2. Per parent: lists of children, and what of its time their union leaves uncovered. A
        --    gap opens where the last of the earlier siblings ended, or where the parent started.
        v_first_child := v_none;
        v_last_child := v_none;
        v_next_sibling := v_none;
        v_latest_child := array_fill(NULL::integer, ARRAY[v_count + 1], ARRAY[0]);
        v_latest_end := array_fill(NULL::bigint, ARRAY[v_count + 1], ARRAY[0]);
        v_covered := v_nothing;
        v_gap := v_nothing;
        v_gap_opener := v_none;
        FOR v_child IN 1..v_count LOOP
            v_above := v_parent[v_child];
            IF v_first_child[v_above] = 0 THEN
                v_first_child[v_above] := v_child;
            ELSE
                v_next_sibling[v_last_child[v_above]] := v_child;
            END IF;
            v_last_child[v_above] := v_child;
            v_free_from := greatest(v_start[v_above], v_latest_end[v_above]);
            v_us := least(v_start[v_child], v_end[v_above]) - v_free_from;
            IF v_us > 0 THEN
                v_gap[v_child] := v_us;
                v_gap_opener[v_child] := CASE
                    WHEN v_latest_end[v_above] < v_start[v_above] THEN v_above
                    ELSE coalesce(v_latest_child[v_above], v_above)
                END;
            END IF;
            v_us := least(v_end[v_child], v_end[v_above])
                - greatest(v_start[v_child], v_free_from);
            IF v_us > 0 THEN
                v_covered[v_above] := v_covered[v_above] + v_us;
            END IF;
            IF (v_end[v_child] < v_latest_end[v_above]) IS NOT TRUE THEN
                v_latest_end[v_above] := v_end[v_child];
                v_latest_child[v_above] := v_child;
            END IF;
        END LOOP;

        -- 3. Depth first, over the roots in order of time. A parent is numbered before its
        --    children.
        v_owner := array_fill(c_other, ARRAY[v_count]);
        v_row := array_fill(NULL::integer, ARRAY[v_count]);
        v_last_row := v_row;
        v_depth := v_row;
        v_path := array_fill(0::bigint, ARRAY[v_count]);
        v_rows := 0;
        v_node := v_first_child[0];
        WHILE v_node <> 0 LOOP
            v_above := v_parent[v_node];
            v_owner[v_node] := CASE
                WHEN p_execution_id IS NULL OR v_execution[v_node] = p_execution_id THEN c_ours
                WHEN v_above <> 0 AND (v_owner[v_above] = c_ours OR v_execution[v_node] IS NULL)
                    THEN v_owner[v_above]
                WHEN v_execution[v_node] IS NULL THEN c_shared
                ELSE c_other
            END;
            v_path[v_node] := hashint8extended(v_name_hash[v_node], coalesce(v_path[v_above], 0));
            IF v_owner[v_node] <> c_other THEN
                v_rows := v_rows + 1;
                v_row[v_node] := v_rows;
                v_depth[v_node] := coalesce(v_depth[v_above] + 1, 0);
            END IF;
            -- Down, else along, else up to the first that has a next sibling.
            IF v_first_child[v_node] <> 0 THEN
                v_node := v_first_child[v_node];
                CONTINUE;
            END IF;
            LOOP
                v_last_row[v_node] := v_rows;
                EXIT WHEN v_next_sibling[v_node] <> 0 OR v_parent[v_node] = 0;
                v_node := v_parent[v_node];
            END LOOP;
            v_node := v_next_sibling[v_node];
        END LOOP;

        -- 4. What no root leads to hangs on a cycle of parents, which is cut at its first span:
        --    that becomes a root, and all is placed anew. Each walk upwards marks what it passes,
        --    and stops at a mark: its own means a cycle.
        EXIT WHEN array_position(v_last_row, NULL) IS NULL;
        v_seen := v_none;
        FOR v_begin IN 1..v_count LOOP
            v_node := v_begin;
            WHILE v_node <> 0 AND v_seen[v_node] = 0 LOOP
                v_seen[v_node] := v_begin;
                v_node := v_parent[v_node];
            END LOOP;
            CONTINUE WHEN v_node = 0 OR v_seen[v_node] <> v_begin;
            v_lowest := v_node;
            v_above := v_parent[v_node];
            WHILE v_above <> v_node LOOP
                v_lowest := least(v_lowest, v_above);
                v_above := v_parent[v_above];
            END LOOP;
            v_parent[v_lowest] := 0;
        END LOOP;
    END LOOP;

    RETURN QUERY
    SELECT
        placed.row_order, placed.depth,
        spans.trace_id, spans.span_id, spans.parent_span_id, spans.service, spans.operation,
        spans.started_at, spans.completed_at, spans.duration_ms, spans.status, spans.job_id,
        spans.execution_id, spans.model_id, spans.region, spans.metadata, spans.error_message,
        CASE WHEN spans.duration_ns IS NOT NULL THEN least(spans.duration_ns, c_never * 1000) END,
        spans.error_type,
        (placed.start_us - min(placed.start_us) OVER ()) * 1000,
        CASE
            WHEN spans.status <> 'started'
                THEN greatest(
                    least(coalesce(spans.duration_ns, 0), c_never * 1000)
                        - v_covered[placed.n] * 1000,
                    0)
        END,
        v_gap[placed.n] * 1000,
        v_row[v_gap_opener[placed.n]],
        placed.tail_us * 1000,
        CASE WHEN placed.tail_us > 0 THEN v_row[v_latest_child[placed.n]] END,
        placed.overflow_us * 1000,
        v_row[placed.parent],
        placed.last_row,
        placed.depth = 0,
        placed.parent = 0 AND spans.parent_span_id IS NOT NULL,
        placed.path,
        spans.created_at
    FROM (
        SELECT
            *,
            CASE WHEN end_us < c_never
                THEN greatest(end_us - greatest(v_latest_end[n], start_us), 0) ELSE 0 END
                AS tail_us,
            CASE WHEN end_us < c_never AND v_end[parent] < c_never
                THEN greatest(end_us - v_end[parent], 0) ELSE 0 END AS overflow_us
        FROM unnest(v_row, v_depth, v_start, v_end, v_parent, v_last_row, v_path)
            WITH ORDINALITY
            AS placed (row_order, depth, start_us, end_us, parent, last_row, path, n)
        WHERE row_order IS NOT NULL
    ) AS placed
    JOIN ROWS FROM (unnest(p_spans)) WITH ORDINALITY AS spans (
        trace_id, span_id, parent_span_id, service, operation, started_at, completed_at,
        duration_ms, status, job_id, execution_id, model_id, region, metadata, error_message,
        duration_ns, error_type, created_at, n)
        ON spans.n = placed.n
    ORDER BY placed.row_order;
END
$$;

COMMENT ON FUNCTION trace_forest(trace_waterfall[], bigint) IS
    'Spans of whole traces, in order of time, as trace_tree() returns them: those of an execution, '
    'or all where that is NULL.';

REVOKE ALL ON FUNCTION trace_forest(trace_waterfall[], bigint) FROM PUBLIC;
