-- A writer's counts, in the transaction of a batch or on their own. What was persisted is added: the
-- batch's ledger row sees to it that this happens once, and several connections may add. The others
-- are absolute, so that saying them twice does no harm.
--
-- Last in the transaction, since it locks the writer's row. SECURITY DEFINER, since the role that
-- writes has no right on the tables.
CREATE OR REPLACE FUNCTION trace_writer_counted(
    p_writer_id uuid,
    p_persisted bigint,
    p_started bigint DEFAULT NULL,
    p_drops jsonb DEFAULT NULL,
    p_stopped boolean DEFAULT false
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM trace_count_writer(
        p_writer_id, p_persisted, p_started, p_drops, coalesce(p_stopped, false), false);
END
$$;

COMMENT ON FUNCTION trace_writer_counted(uuid, bigint, bigint, jsonb, boolean) IS
    'Adds p_persisted to a writer''s persisted spans, and raises its started spans and its drops by '
    'reason to the given counts (NULL: as they are; entries that are no counts are ignored); each '
    'growth of drops becomes a row of trace_drops.';

REVOKE ALL ON FUNCTION trace_writer_counted(uuid, bigint, bigint, jsonb, boolean) FROM PUBLIC;
