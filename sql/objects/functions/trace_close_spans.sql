-- These spans of a writer are open no longer: in the transaction that stores them finished.
-- SECURITY DEFINER, since the role that writes may not delete: see trace_ensure_days for the
-- qualified names.
CREATE OR REPLACE FUNCTION trace_close_spans(
    p_writer_id uuid, p_trace_ids uuid[], p_span_ids uuid[]
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path FROM CURRENT
-- A plan that was made, and kept, while the table was empty must do when it is not.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    DELETE FROM trace_open_spans AS open
    USING ROWS FROM (pg_catalog.unnest(p_trace_ids), pg_catalog.unnest(p_span_ids))
        AS closed (trace_id, span_id)
    WHERE open.trace_id = closed.trace_id
      AND open.span_id = closed.span_id
      AND open.writer_id = p_writer_id;
END
$$;

COMMENT ON FUNCTION trace_close_spans(uuid, uuid[], uuid[]) IS
    'Deletes a writer''s spans, given as pairs of trace id and span id, from trace_open_spans.';

REVOKE ALL ON FUNCTION trace_close_spans(uuid, uuid[], uuid[]) FROM PUBLIC;
