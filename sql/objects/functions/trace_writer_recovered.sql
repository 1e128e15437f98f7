-- The last account of a process that was killed, by whoever delivered what it left. Saying it again
-- changes nothing. SECURITY DEFINER, since the role that writes has no right on the tables: see
-- trace_ensure_days for the operators of exactly their types.
CREATE OR REPLACE FUNCTION trace_writer_recovered(
    p_writer_id uuid, p_started bigint, p_drops jsonb
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path FROM CURRENT
-- See trace_close_spans.
SET enable_seqscan = off
AS $$
BEGIN
    PERFORM trace_count_writer(p_writer_id, 0::bigint, p_started, p_drops, false, true);
    DELETE FROM trace_open_spans AS open WHERE open.writer_id = p_writer_id;
END
$$;

COMMENT ON FUNCTION trace_writer_recovered(uuid, bigint, jsonb) IS
    'Accounts for a killed process: its last counts; what is missing of the started spans (NULL: '
    'not known) is dropped as crash; none of its spans is open any more. Nothing is added when the '
    'writer has no row.';

REVOKE ALL ON FUNCTION trace_writer_recovered(uuid, bigint, jsonb) FROM PUBLIC;
