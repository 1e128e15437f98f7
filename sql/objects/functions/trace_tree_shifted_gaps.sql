-- The gaps of rows of trace_tree whose clocks were adjusted: of the kinds that trace_tree_gaps() names,
-- between the positions that are given. Rows hold microseconds: less than one is no gap.
CREATE OR REPLACE FUNCTION trace_tree_shifted_gaps(
    p_parent_row integer[],
    p_status text[],
    p_offset_ns bigint[],
    p_duration_ns bigint[]
)
RETURNS TABLE (
    kind text,
    from_row integer,
    to_row integer,
    parent_row integer,
    offset_ns bigint,
    gap_ns bigint
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
    c_never CONSTANT bigint := 9000000000000000000;  -- the end of an open span
BEGIN
    RETURN QUERY
    WITH spans AS MATERIALIZED (
        SELECT
            n, parent_row, offset_ns AS start_ns,
            CASE status
                WHEN 'started' THEN c_never
                ELSE least(offset_ns::numeric + greatest(coalesce(duration_ns, 0), 0), c_never)
            END::bigint AS end_ns
        FROM unnest(p_parent_row, p_status, p_offset_ns, p_duration_ns) WITH ORDINALITY AS spans (
            parent_row, status, offset_ns, duration_ns, n)
    ),
    siblings AS MATERIALIZED (
        SELECT
            spans.*, above.start_ns AS above_start_ns, above.end_ns AS above_end_ns,
            -- The earlier sibling that ended last.
            max(ARRAY[spans.end_ns, spans.n]) OVER (
                PARTITION BY spans.parent_row ORDER BY spans.start_ns, spans.n
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS before
        FROM spans
        LEFT JOIN spans AS above ON above.n = spans.parent_row
    ),
    openings AS (
        SELECT
            n, parent_row,
            -- A gap opens where that one ended, or where the parent started.
            CASE WHEN before[1] >= above_start_ns OR parent_row IS NULL
                THEN before[2] ELSE parent_row END AS from_row,
            greatest(above_start_ns, before[1]) AS from_ns,
            least(start_ns, above_end_ns) AS to_ns
        FROM siblings
    ),
    lasts AS (
        SELECT parent_row, max(ARRAY[end_ns, n]) AS last
        FROM spans
        WHERE parent_row IS NOT NULL
        GROUP BY parent_row
    ),
    gaps AS (
        SELECT
            CASE WHEN from_row = parent_row THEN 'lead' ELSE 'between' END AS kind,
            from_row, n AS to_row, parent_row, from_ns, to_ns
        FROM openings
        UNION ALL
        SELECT 'tail', last[2], n, n, greatest(last[1], start_ns), end_ns
        FROM spans
        JOIN lasts ON lasts.parent_row = spans.n
        WHERE end_ns < c_never
        UNION ALL
        SELECT 'overflow', n, parent_row, parent_row, above_end_ns, end_ns
        FROM siblings
        WHERE end_ns < c_never AND above_end_ns < c_never
    )
    SELECT
        kind, from_row::integer, to_row::integer, parent_row::integer, from_ns, to_ns - from_ns
    FROM gaps
    WHERE to_ns - from_ns >= 1000
    ORDER BY from_ns, to_ns DESC, to_row, kind;
END
$$;

COMMENT ON FUNCTION trace_tree_shifted_gaps(integer[], text[], bigint[], bigint[]) IS
    'The gaps of rows of trace_tree(), given as arrays of its columns in display order, at other '
    'positions than the recorded ones, as adjusted clocks give them; see trace_tree_gaps().';

REVOKE ALL ON FUNCTION trace_tree_shifted_gaps(integer[], text[], bigint[], bigint[])
FROM PUBLIC;
