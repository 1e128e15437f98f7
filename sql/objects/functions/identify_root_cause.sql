-- Why an execution failed, timed out or was slow; see trace_root_cause.
CREATE OR REPLACE FUNCTION identify_root_cause(p_execution_id bigint)
RETURNS TABLE (
    root_cause_type text,
    affected_service text,
    affected_operation text,
    evidence text,
    recommendation text,
    confidence numeric,
    rank integer,
    span_ids uuid[]
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN QUERY SELECT * FROM trace_root_cause(p_execution_id);
END
$$;

COMMENT ON FUNCTION identify_root_cause(bigint) IS
    'Ranked causes of an execution''s failure or slowness with evidence and advice; the first row '
    'is the answer. No row: nothing is wrong. UNKNOWN: no cause can be told, or, with a NULL '
    'service, no span is recorded.';

REVOKE ALL ON FUNCTION identify_root_cause(bigint) FROM PUBLIC;
