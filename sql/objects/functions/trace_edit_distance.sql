-- The edit distance of two sequences: how many insertions, deletions and replacements make one of
-- the other (Wagner and Fischer). What both begin and end with alike costs nothing.
CREATE OR REPLACE FUNCTION trace_edit_distance(p_a bigint[], p_b bigint[])
RETURNS integer
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    v_a_size integer := cardinality(p_a);
    v_b_size integer := cardinality(p_b);
    v_skip integer := 0;
    v_row integer[];
    v_diagonal integer;
    v_above integer;
BEGIN
    WHILE v_skip < least(v_a_size, v_b_size) AND p_a[v_skip + 1] = p_b[v_skip + 1] LOOP
        v_skip := v_skip + 1;
    END LOOP;
    WHILE least(v_a_size, v_b_size) > v_skip AND p_a[v_a_size] = p_b[v_b_size] LOOP
        v_a_size := v_a_size - 1;
        v_b_size := v_b_size - 1;
    END LOOP;
    v_a_size := v_a_size - v_skip;
    v_b_size := v_b_size - v_skip;
    IF least(v_a_size, v_b_size) = 0 THEN
        RETURN greatest(v_a_size, v_b_size);
    END IF;
    -- One row of the table at a time; v_row[j + 1] is the distance to the first j of b.
    v_row := ARRAY(SELECT generate_series(0, v_b_size));
    FOR i IN 1..v_a_size LOOP
        v_diagonal := v_row[1];
        v_row[1] := i;
        FOR j IN 1..v_b_size LOOP
            v_above := v_row[j + 1];
            v_row[j + 1] := least(
                v_above + 1,
                v_row[j] + 1,
                v_diagonal + CASE WHEN p_a[v_skip + i] = p_b[v_skip + j] THEN 0 ELSE 1 END
            );
            v_diagonal := v_above;
        END LOOP;
    END LOOP;
    RETURN v_row[v_b_size + 1];
END
$$;

COMMENT ON FUNCTION trace_edit_distance(bigint[], bigint[]) IS
    'Insertions, deletions and replacements between two sequences, at least.';

REVOKE ALL ON FUNCTION trace_edit_distance(bigint[], bigint[]) FROM PUBLIC;
