-- How far the clocks of services seem to be apart, as Jaeger's adjuster guesses it. Nothing is
-- rewritten: the recorded start and the adjusted one stand side by side.
--
-- A child of another service that fits into its parent stays. One that does not is moved to the
-- middle of it: the time to and fro is taken to be equal. One that took longer than its parent, or
-- has no end on one side, is moved only when it starts before its parent, to the parent's start.
-- Descendants in the same service move along. Fitting is told by microseconds.
CREATE OR REPLACE FUNCTION trace_clock_skew(p_execution_id bigint, p_trace_id uuid DEFAULT NULL)
RETURNS TABLE (
    row_order integer,
    depth integer,
    trace_id uuid,
    span_id uuid,
    parent_span_id uuid,
    service text,
    operation text,
    started_at timestamptz,
    adjusted_started_at timestamptz,
    shift_ns bigint,
    offset_ns bigint,
    adjusted_offset_ns bigint,
    duration_ns bigint,
    parent_row integer,
    parent_service text,
    reason text
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET enable_nestloop = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    c_limit_ns CONSTANT numeric := 4e18;
    -- Indexed by row_order: a parent comes before its children.
    v_parent integer[];
    v_depth integer[];
    v_trace_id uuid[];
    v_span_id uuid[];
    v_parent_span_id uuid[];
    v_service text[];
    v_operation text[];
    v_started_at timestamptz[];
    v_start_ns bigint[];
    v_length_us bigint[];  -- NULL while open, as v_length_ns
    v_length_ns bigint[];
    v_shift_ns bigint[];
    v_reason text[];
    v_count integer;
    v_above integer;
    v_before boolean;
    v_child_us numeric;
    v_above_us numeric;
    v_shift numeric;
BEGIN
    SELECT
        count(*),
        array_agg(coalesce(parent_row, 0) ORDER BY row_order),
        array_agg(depth ORDER BY row_order),
        array_agg(trace_id ORDER BY row_order),
        array_agg(span_id ORDER BY row_order),
        array_agg(parent_span_id ORDER BY row_order),
        array_agg(service ORDER BY row_order),
        array_agg(operation ORDER BY row_order),
        array_agg(started_at ORDER BY row_order),
        array_agg(offset_ns ORDER BY row_order),
        array_agg(
            CASE
                WHEN status = 'started' THEN NULL
                WHEN isfinite(started_at) AND isfinite(completed_at) THEN
                    least(
                        greatest(
                            round(extract(epoch FROM completed_at) * 1e6)
                                - round(extract(epoch FROM started_at) * 1e6),
                            0),
                        2e15)::bigint
                ELSE greatest(coalesce(duration_ns, 0), 0) / 1000
            END
            ORDER BY row_order),
        array_agg(
            CASE WHEN status <> 'started' THEN greatest(coalesce(duration_ns, 0), 0) END
            ORDER BY row_order)
    INTO v_count, v_parent, v_depth, v_trace_id, v_span_id, v_parent_span_id, v_service,
        v_operation, v_started_at, v_start_ns, v_length_us, v_length_ns
    FROM trace_tree(p_execution_id, p_trace_id);
    IF v_count = 0 THEN
        RETURN;
    END IF;

    v_shift_ns := array_fill(0::bigint, ARRAY[v_count]);
    v_reason := array_fill(NULL::text, ARRAY[v_count]);
    FOR v_row IN 1..v_count LOOP
        v_above := v_parent[v_row];
        CONTINUE WHEN v_above = 0;
        IF v_service[v_row] = v_service[v_above] THEN
            v_shift_ns[v_row] := v_shift_ns[v_above];
            IF v_shift_ns[v_above] <> 0 THEN
                v_reason[v_row] := 'as its parent';
            END IF;
            CONTINUE;
        END IF;
        v_shift := v_start_ns[v_above]::numeric + v_shift_ns[v_above] - v_start_ns[v_row];
        v_before := v_shift > 0;
        v_child_us := v_length_us[v_row];
        v_above_us := v_length_us[v_above];
        IF coalesce(v_child_us > v_above_us, true) THEN
            CONTINUE WHEN NOT v_before;
        ELSE
            CONTINUE WHEN NOT v_before
                AND v_child_us - div(v_shift, 1000) <= v_above_us;
            v_shift := v_shift + greatest(v_length_ns[v_above] - v_length_ns[v_row], 0) / 2;
        END IF;
        v_shift_ns[v_row] := least(greatest(v_shift, -c_limit_ns), c_limit_ns)::bigint;
        v_reason[v_row] := CASE
            WHEN v_before THEN 'started before its parent' ELSE 'ended after its parent'
        END;
    END LOOP;

    RETURN QUERY
    SELECT
        n::integer, depth, trace_id, span_id, parent_span_id, service, operation, started_at,
        -- NULL where the calendar ends.
        CASE WHEN started_at BETWEEN '4600-01-01 BC' AND '290000-01-01' THEN
            started_at + make_interval(secs => shift_ns / 1e9)
        END,
        shift_ns, start_ns, start_ns + shift_ns, length_ns, nullif(parent, 0), v_service[parent],
        reason
    FROM unnest(
        v_parent, v_depth, v_trace_id, v_span_id, v_parent_span_id, v_service, v_operation,
        v_started_at, v_start_ns, v_length_ns, v_shift_ns, v_reason
    ) WITH ORDINALITY AS spans (
        parent, depth, trace_id, span_id, parent_span_id, service, operation, started_at, start_ns,
        length_ns, shift_ns, reason, n)
    ORDER BY n;
END
$$;

COMMENT ON FUNCTION trace_clock_skew(bigint, uuid) IS
    'Every span of an execution, or of one trace, with its recorded start and the one it would have '
    'if its service''s clock agreed with its parent''s; shift_ns is 0 where it fits as recorded, '
    'reason says why it does not. Changes nothing.';

REVOKE ALL ON FUNCTION trace_clock_skew(bigint, uuid) FROM PUBLIC;
