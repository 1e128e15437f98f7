-- In the transaction of a batch, whose ledger row sees to it that this happens once. SECURITY DEFINER,
-- since the role that writes has no right on the table.
CREATE OR REPLACE FUNCTION trace_writer_sampled_out(p_writer_id uuid, p_spans bigint)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    UPDATE trace_writers AS writers
    SET spans_sampled_out = writers.spans_sampled_out + greatest(p_spans, 0::bigint)
    WHERE writers.writer_id = p_writer_id;
END
$$;

COMMENT ON FUNCTION trace_writer_sampled_out(uuid, bigint) IS
    'Adds to a writer''s spans that are summed and not stored, since their trace is not sampled.';

REVOKE ALL ON FUNCTION trace_writer_sampled_out(uuid, bigint) FROM PUBLIC;
