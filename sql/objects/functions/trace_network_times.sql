-- What an execution's calls between services spent between the services: the client's duration
-- minus the server's. The clocks of the two do not matter for that; for how it splits into request
-- and response they do, so that is shown as recorded and as trace_clock_skew() adjusts it.
--
-- A call is a span with a child in another service, where metadata's span.kind, if there, says
-- client for the one and server for the other:
--
--   kind       both say so
--   shared id  both say so, and have one id, as Zipkin writes them
--   services   one of them or both say nothing: the client's own work may be in its time
--
-- What cannot be told is NULL, and note says why.
CREATE OR REPLACE FUNCTION trace_network_times(p_execution_id bigint, p_trace_id uuid DEFAULT NULL)
RETURNS TABLE (
    client_row integer,
    server_row integer,
    trace_id uuid,
    client_span_id uuid,
    server_span_id uuid,
    client_service text,
    client_operation text,
    server_service text,
    server_operation text,
    started_at timestamptz,
    client_ns bigint,
    server_ns bigint,
    network_ns bigint,
    request_ns bigint,
    response_ns bigint,
    adjusted_request_ns bigint,
    adjusted_response_ns bigint,
    shift_ns bigint,
    pairing text,
    note text
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET enable_nestloop = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH tree AS MATERIALIZED (
        SELECT * FROM trace_tree(p_execution_id, p_trace_id)
    ),
    skew AS (
        SELECT answer.*
        FROM (
            SELECT
                array_agg(parent_row ORDER BY row_order) AS parent_row,
                array_agg(service ORDER BY row_order) AS service,
                array_agg(status ORDER BY row_order) AS status,
                array_agg(started_at ORDER BY row_order) AS started_at,
                array_agg(completed_at ORDER BY row_order) AS completed_at,
                array_agg(offset_ns ORDER BY row_order) AS offset_ns,
                array_agg(duration_ns ORDER BY row_order) AS duration_ns
            FROM tree
        ) AS columns
        CROSS JOIN LATERAL trace_tree_skew(
            parent_row, service, status, started_at, completed_at, offset_ns, duration_ns
        ) AS answer
    ),
    spans AS MATERIALIZED (
        SELECT
            tree.row_order, tree.parent_row, tree.trace_id, tree.span_id, tree.service,
            tree.operation, tree.started_at, tree.offset_ns,
            tree.offset_ns + skew.shift_ns AS adjusted_offset_ns,
            skew.shift_ns, skew.length_ns AS duration_ns,
            lower(tree.metadata ->> 'span.kind') AS kind
        FROM tree
        JOIN skew ON skew.row_order = tree.row_order
    ),
    calls AS (
        SELECT
            client.row_order AS client_row,
            server.row_order AS server_row,
            client.trace_id,
            client.span_id AS client_span_id,
            server.span_id AS server_span_id,
            client.service AS client_service,
            client.operation AS client_operation,
            server.service AS server_service,
            server.operation AS server_operation,
            client.started_at,
            client.duration_ns AS client_ns,
            server.duration_ns AS server_ns,
            client.duration_ns - server.duration_ns AS difference_ns,
            server.offset_ns - client.offset_ns AS request_ns,
            server.adjusted_offset_ns - client.adjusted_offset_ns AS adjusted_request_ns,
            server.shift_ns - client.shift_ns AS shift_ns,
            CASE
                WHEN client.kind IS NULL OR server.kind IS NULL THEN 'services'
                WHEN client.span_id = server.span_id THEN 'shared id'
                ELSE 'kind'
            END AS pairing,
            count(*) OVER (PARTITION BY client.row_order) AS servers
        FROM spans AS server
        JOIN spans AS client ON client.row_order = server.parent_row
        WHERE client.service <> server.service
          AND coalesce(client.kind, 'client') = 'client'
          AND coalesce(server.kind, 'server') = 'server'
    ),
    known AS (
        SELECT *, difference_ns IS NOT NULL AND servers = 1 AS is_known FROM calls
    )
    SELECT
        client_row, server_row, trace_id, client_span_id, server_span_id, client_service,
        client_operation, server_service, server_operation, started_at, client_ns, server_ns,
        CASE WHEN is_known THEN greatest(difference_ns, 0) END,
        CASE WHEN servers = 1 THEN request_ns END,
        CASE WHEN is_known THEN difference_ns - request_ns END,
        -- Starts are microseconds: what is left of one must not make the other part negative.
        CASE
            WHEN servers = 1 AND difference_ns >= 0
                THEN least(greatest(adjusted_request_ns, 0), difference_ns)
            WHEN servers = 1 THEN adjusted_request_ns
        END,
        CASE
            WHEN is_known AND difference_ns >= 0
                THEN difference_ns - least(greatest(adjusted_request_ns, 0), difference_ns)
        END,
        shift_ns,
        pairing,
        CASE
            WHEN servers > 1 THEN format(
                '%s spans of other services below the client: its time cannot be split between '
                'them',
                servers)
            WHEN client_ns IS NULL AND server_ns IS NULL THEN 'both never ended'
            WHEN client_ns IS NULL THEN 'the client never ended'
            WHEN server_ns IS NULL THEN 'the server never ended'
            WHEN difference_ns < 0 THEN format(
                'the server took %s longer than the client waited', trace_seconds(-difference_ns))
        END
    FROM known
    ORDER BY client_row, server_row;
END
$$;

COMMENT ON FUNCTION trace_network_times(bigint, uuid) IS
    'Calls between services of an execution, or of one trace: the client''s duration, the server''s, '
    'the difference (never negative; note says when it would be), and its split into request and '
    'response, as recorded and with clocks adjusted. What cannot be told is NULL, with a note.';

REVOKE ALL ON FUNCTION trace_network_times(bigint, uuid) FROM PUBLIC;
