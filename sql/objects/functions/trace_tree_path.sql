-- What trace_critical_path() is of stored spans, of rows of trace_tree, given as arrays of its columns:
-- per root a chain of segments without a hole, from the root's start to its end.
--
-- From a span's end the walk goes back to the child that ended last before it (at the same moment
-- counts as before), from that child's start to the one that ended last before that, and so on;
-- inside each child likewise. What lies between is the span's own. A child is cut to its parent,
-- and dropped when nothing is left. Of children that end together the one that started first counts.
--
-- An open span lasts as long as its parent; an open root until the last that is known below it.
--
-- Rows hold microseconds, durations nanoseconds: what ended before what is told by microseconds, as
-- phases that share a timestamp need it; lengths are nanoseconds, and sum to the root's duration.
CREATE OR REPLACE FUNCTION trace_tree_path(
    p_parent_row integer[],
    p_status text[],
    p_started_at timestamptz[],
    p_completed_at timestamptz[],
    p_offset_ns bigint[],
    p_duration_ns bigint[]
)
RETURNS TABLE (
    root_row integer,
    segment integer,
    row_order integer,
    offset_ns bigint,
    length_ns bigint,
    is_main_root boolean
)
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET enable_nestloop = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    c_never_us CONSTANT bigint := 4500000000000000;  -- behind every position that trace_tree() has
    -- Indexed by row_order.
    v_parent integer[];
    v_end_us bigint[];
    v_end_ns bigint[];
    v_last_ns bigint[];  -- the last that is known of it and of what lies below
    -- A span's children lie side by side in v_children, the last to end first.
    v_children integer[];
    v_first_child integer[];
    v_after_children integer[];
    -- Of the spans from the root to where the walk is: what is left of each, from its start to
    -- where the walk stands, and the next child to look at; 0 before the first look.
    v_low_ns bigint[];
    v_high_ns bigint[];
    v_cursor integer[];
    v_path_root integer[];
    v_path_row integer[];
    v_path_from bigint[];
    v_path_length bigint[];
    v_count integer := coalesce(cardinality(p_parent_row), 0);
    v_node integer;
    v_at integer;
    v_after integer;
    v_child integer;
    v_picked integer;
    v_is_instant boolean;
    v_low bigint;
    v_high bigint;
    v_high_us bigint;
    v_from bigint;
    v_to bigint;
    v_segments integer := 0;
    v_segments_before integer;
    v_main_row integer;
    v_main_ns bigint := -1;
BEGIN
    IF v_count = 0 THEN
        RETURN;
    END IF;
    SELECT
        array_agg(coalesce(parent_row, 0) ORDER BY n),
        array_agg(
            CASE
                WHEN status = 'started' THEN c_never_us
                WHEN isfinite(started_at) AND isfinite(completed_at) THEN
                    offset_ns / 1000 + least(
                        greatest(
                            round(extract(epoch FROM completed_at) * 1e6)
                                - round(extract(epoch FROM started_at) * 1e6),
                            0),
                        2e15)::bigint
                ELSE offset_ns / 1000 + greatest(coalesce(duration_ns, 0), 0) / 1000
            END
            ORDER BY n),
        array_agg(
            CASE
                WHEN status = 'started' THEN c_never_us * 1000
                ELSE offset_ns + greatest(coalesce(duration_ns, 0), 0)
            END
            ORDER BY n)
    INTO v_parent, v_end_us, v_end_ns
    FROM unnest(
        p_parent_row, p_status, p_started_at, p_completed_at, p_offset_ns, p_duration_ns
    ) WITH ORDINALITY AS spans (
        parent_row, status, started_at, completed_at, offset_ns, duration_ns, n);

    -- Of spans that end in the same microsecond those that also start in it come first: they take
    -- nothing away from the others.
    SELECT array_agg(n::integer ORDER BY parent, end_us DESC, start_ns / 1000 = end_us DESC, n)
    INTO v_children
    FROM unnest(v_parent, p_offset_ns, v_end_us) WITH ORDINALITY AS spans (
        parent, start_ns, end_us, n);
    WITH parents AS (
        SELECT v_parent[child] AS parent, min(i) AS first_child, max(i) + 1 AS after_children
        FROM unnest(v_children) WITH ORDINALITY AS children (child, i)
        GROUP BY v_parent[child]
    )
    SELECT
        array_agg(coalesce(first_child, 1)::integer ORDER BY n),
        array_agg(coalesce(after_children, 1)::integer ORDER BY n)
    INTO v_first_child, v_after_children
    FROM generate_series(1, v_count) AS n
    LEFT JOIN parents ON parents.parent = n;

    SELECT array_agg(CASE status WHEN 'started' THEN start_ns ELSE end_ns END ORDER BY n)
    INTO v_last_ns
    FROM unnest(p_status, p_offset_ns, v_end_ns) WITH ORDINALITY AS spans (
        status, start_ns, end_ns, n);
    FOR v_row IN REVERSE v_count..1 LOOP
        CONTINUE WHEN v_parent[v_row] = 0;
        v_last_ns[v_parent[v_row]] := greatest(v_last_ns[v_parent[v_row]], v_last_ns[v_row]);
    END LOOP;

    v_low_ns := array_fill(0::bigint, ARRAY[v_count]);
    v_high_ns := v_low_ns;
    v_cursor := array_fill(0, ARRAY[v_count]);
    v_path_root := array_fill(0, ARRAY[2 * v_count]);  -- each span opens and closes one at most
    v_path_row := v_path_root;
    v_path_from := array_fill(0::bigint, ARRAY[2 * v_count]);
    v_path_length := v_path_from;

    FOR v_root IN 1..v_count LOOP
        CONTINUE WHEN v_parent[v_root] <> 0;
        v_node := v_root;
        v_low_ns[v_root] := p_offset_ns[v_root];
        v_high_ns[v_root] := CASE p_status[v_root]
            WHEN 'started' THEN v_last_ns[v_root] ELSE v_end_ns[v_root] END;
        IF v_high_ns[v_root] - v_low_ns[v_root] > v_main_ns THEN
            v_main_row := v_root;
            v_main_ns := v_high_ns[v_root] - v_low_ns[v_root];
        END IF;
        v_segments_before := v_segments;

        LOOP
            v_low := v_low_ns[v_node];
            v_high := v_high_ns[v_node];
            v_high_us := v_high / 1000;
            v_at := v_cursor[v_node];
            v_after := v_after_children[v_node];
            v_picked := 0;
            IF v_at = 0 THEN
                -- Those that reach the end, or beyond, all end there.
                v_at := v_first_child[v_node];
                v_is_instant := false;
                WHILE v_at < v_after LOOP
                    v_child := v_children[v_at];
                    EXIT WHEN v_end_us[v_child] < v_high_us;
                    v_at := v_at + 1;
                    CONTINUE WHEN p_offset_ns[v_child] >= v_high
                        OR v_end_ns[v_child] <= greatest(p_offset_ns[v_child], v_low);
                    IF v_picked = 0
                        OR (p_offset_ns[v_child] / 1000 = v_high_us) > v_is_instant
                        OR (p_offset_ns[v_child] / 1000 = v_high_us) = v_is_instant
                            AND v_child < v_picked
                    THEN
                        v_picked := v_child;
                        v_is_instant := p_offset_ns[v_child] / 1000 = v_high_us;
                    END IF;
                END LOOP;
                IF v_is_instant THEN
                    v_at := v_first_child[v_node];  -- the others are still to come
                END IF;
            END IF;
            WHILE v_picked = 0 AND v_at < v_after LOOP
                v_child := v_children[v_at];
                v_at := v_at + 1;
                IF v_end_us[v_child] <= v_high_us
                    AND least(v_end_ns[v_child], v_high) > greatest(p_offset_ns[v_child], v_low)
                THEN
                    v_picked := v_child;
                END IF;
            END LOOP;
            v_cursor[v_node] := greatest(v_at, 1);

            -- The span's own time since the child's end, or since its own start.
            IF v_picked = 0 THEN
                v_from := v_low;
            ELSE
                v_from := least(v_end_ns[v_picked], v_high);
            END IF;
            IF v_from < v_high OR v_picked = 0 AND v_node = v_root
                AND v_segments = v_segments_before
            THEN
                v_segments := v_segments + 1;
                v_path_root[v_segments] := v_root;
                v_path_row[v_segments] := v_node;
                v_path_from[v_segments] := v_from;
                v_path_length[v_segments] := v_high - v_from;
            END IF;

            IF v_picked <> 0 THEN
                v_to := v_from;
                v_from := greatest(p_offset_ns[v_picked], v_low);
                v_high_ns[v_node] := v_from;
                v_low_ns[v_picked] := v_from;
                v_high_ns[v_picked] := v_to;
                v_node := v_picked;
            ELSE
                EXIT WHEN v_node = v_root;
                v_node := v_parent[v_node];
            END IF;
        END LOOP;
    END LOOP;

    RETURN QUERY
    SELECT
        path.root, row_number() OVER (PARTITION BY path.root ORDER BY path.n DESC)::integer,
        path.row_order, path.from_ns, path.length_ns, path.root = v_main_row
    FROM unnest(v_path_root, v_path_row, v_path_from, v_path_length) WITH ORDINALITY
        AS path (root, row_order, from_ns, length_ns, n)
    WHERE path.n <= v_segments
    ORDER BY path.root, path.n DESC;
END
$$;

COMMENT ON FUNCTION trace_tree_path(
    integer[], text[], timestamptz[], timestamptz[], bigint[], bigint[]) IS
    'The critical path of rows of trace_tree(), given as arrays of its columns in display order: per '
    'root the segments in order of time, and whose each is. See trace_critical_path().';

REVOKE ALL ON FUNCTION trace_tree_path(
    integer[], text[], timestamptz[], timestamptz[], bigint[], bigint[]) FROM PUBLIC;
