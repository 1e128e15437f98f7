-- What trace_clock_skew() is of stored spans, of rows of trace_tree, given as arrays of its columns.
--
-- A child of another service that fits into its parent stays. One that does not is moved to the
-- middle of it: the time to and fro is taken to be equal. One that took longer than its parent, or
-- has no end on one side, is moved only when it starts before its parent, to the parent's start.
-- Descendants in the same service move along. Fitting is told by microseconds.
CREATE OR REPLACE FUNCTION trace_tree_skew(
    p_parent_row integer[],
    p_service text[],
    p_status text[],
    p_started_at timestamptz[],
    p_completed_at timestamptz[],
    p_offset_ns bigint[],
    p_duration_ns bigint[]
)
RETURNS TABLE (
    row_order integer,
    shift_ns bigint,
    length_ns bigint,
    reason text
)
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    c_limit_ns CONSTANT numeric := 4e18;
    v_count integer := coalesce(cardinality(p_parent_row), 0);
    -- Indexed by row_order: a parent comes before its children.
    v_length_us bigint[];  -- NULL while open, as v_length_ns
    v_length_ns bigint[];
    v_shift_ns bigint[];
    v_reason text[];
    v_above integer;
    v_before boolean;
    v_child_us numeric;
    v_above_us numeric;
    v_shift numeric;
BEGIN
    IF v_count = 0 THEN
        RETURN;
    END IF;
    SELECT
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
            ORDER BY n),
        array_agg(
            CASE WHEN status <> 'started' THEN greatest(coalesce(duration_ns, 0), 0) END
            ORDER BY n)
    INTO v_length_us, v_length_ns
    FROM unnest(p_status, p_started_at, p_completed_at, p_duration_ns) WITH ORDINALITY AS spans (
        status, started_at, completed_at, duration_ns, n);
    v_shift_ns := array_fill(0::bigint, ARRAY[v_count]);
    v_reason := array_fill(NULL::text, ARRAY[v_count]);
    FOR v_row IN 1..v_count LOOP
        v_above := p_parent_row[v_row];
        CONTINUE WHEN v_above IS NULL;
        IF p_service[v_row] = p_service[v_above] THEN
            CONTINUE WHEN v_shift_ns[v_above] = 0;
            v_shift_ns[v_row] := v_shift_ns[v_above];
            v_reason[v_row] := 'as its parent';
            CONTINUE;
        END IF;
        v_shift := p_offset_ns[v_above]::numeric + v_shift_ns[v_above] - p_offset_ns[v_row];
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
    SELECT n::integer, shift_ns, length_ns, reason
    FROM unnest(v_shift_ns, v_length_ns, v_reason) WITH ORDINALITY AS spans (
        shift_ns, length_ns, reason, n);
END
$$;

COMMENT ON FUNCTION trace_tree_skew(
    integer[], text[], text[], timestamptz[], timestamptz[], bigint[], bigint[]) IS
    'For each row of trace_tree(), given as arrays of its columns in display order: by how much its '
    'clock seems to be off, and why; length_ns is NULL while the span is open. See '
    'trace_clock_skew().';

REVOKE ALL ON FUNCTION trace_tree_skew(
    integer[], text[], text[], timestamptz[], timestamptz[], bigint[], bigint[]) FROM PUBLIC;
