-- Says that a process writes from now on, or again. SECURITY DEFINER, since the role that writes
-- has no right on trace_writers: see trace_ensure_days for the qualified names.
CREATE OR REPLACE FUNCTION trace_writer_started(
    p_writer_id uuid, p_service text, p_host text, p_pid integer, p_version text
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO trace_writers (writer_id, service, host, pid, version)
    VALUES (p_writer_id, p_service, p_host, p_pid, p_version)
    ON CONFLICT (writer_id) DO UPDATE SET last_seen_at = pg_catalog.now(), stopped_at = NULL;
END
$$;

COMMENT ON FUNCTION trace_writer_started(uuid, text, text, integer, text) IS
    'Adds a writer to trace_writers, or notes that a known one is there again; for the writer, '
    'once a connection.';

REVOKE ALL ON FUNCTION trace_writer_started(uuid, text, text, integer, text) FROM PUBLIC;
