-- When the spans of an execution, or of one trace, began at the earliest and at the latest, so that
-- only those days' partitions need be looked at. An execution's spans are looked for within a day
-- around its summary; a trace whose id is a UUIDv7 says itself when it began, and is looked for up
-- to a week later. Of others nothing is known: from -infinity to infinity.
CREATE OR REPLACE FUNCTION trace_time_range(
    p_execution_id bigint, p_trace_id uuid, OUT since timestamptz, OUT until timestamptz
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    v_hex text := replace(p_trace_id::text, '-', '');
BEGIN
    IF p_trace_id IS NULL THEN
        SELECT
            least(summaries.started_at, (
                SELECT min(open.started_at) FROM trace_open_spans AS open
                WHERE open.execution_id = p_execution_id
            )) - interval '1 day',
            greatest(summaries.ended_at, (
                SELECT max(open.started_at) FROM trace_open_spans AS open
                WHERE open.execution_id = p_execution_id
            )) + interval '1 day'
        INTO since, until
        FROM trace_execution_summaries AS summaries
        WHERE summaries.execution_id = p_execution_id;
    ELSIF substr(v_hex, 13, 1) = '7' AND substr(v_hex, 17, 1) IN ('8', '9', 'a', 'b') THEN
        since := to_timestamp(('x' || left(v_hex, 12))::bit(48)::bigint / 1000.0)
            - interval '1 day';
        until := since + interval '8 days';
    END IF;
    since := coalesce(since, '-infinity');
    until := coalesce(until, 'infinity');
END
$$;

COMMENT ON FUNCTION trace_time_range(bigint, uuid) IS
    'Bounds of started_at for the spans of an execution, or of one trace: -infinity and infinity '
    'where they are not known.';

REVOKE ALL ON FUNCTION trace_time_range(bigint, uuid) FROM PUBLIC;
