-- Which service called which, and how often, in a time: spans whose parent is another service's.
CREATE OR REPLACE FUNCTION trace_dependencies(p_from timestamptz, p_to timestamptz)
RETURNS TABLE (parent text, child text, calls bigint, failures bigint)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
SET datestyle = 'ISO'
AS $$
#variable_conflict use_column
BEGIN
    IF p_from IS NULL OR p_to IS NULL OR p_from >= p_to THEN
        RAISE EXCEPTION 'p_from must be before p_to' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- With the times as constants: see trace_tree.
    RETURN QUERY EXECUTE format(
        'WITH spans AS MATERIALIZED (
             SELECT trace_id, span_id, parent_span_id, service, status
             FROM trace_spans WHERE started_at >= %L AND started_at < %L
         )
         SELECT above.service, below.service, count(*),
             count(*) FILTER (WHERE below.status IN (''failed'', ''timeout''))
         FROM spans AS below
         JOIN spans AS above
             ON above.trace_id = below.trace_id AND above.span_id = below.parent_span_id
         WHERE above.service <> below.service
         GROUP BY above.service, below.service
         ORDER BY above.service, below.service', p_from, p_to);
END
$$;

COMMENT ON FUNCTION trace_dependencies(timestamptz, timestamptz) IS
    'Calls between services in a time, by the services of a span and of its parent.';

REVOKE ALL ON FUNCTION trace_dependencies(timestamptz, timestamptz) FROM PUBLIC;
