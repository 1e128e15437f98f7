-- What the writers of some spans lost while these ran. A batch's committed_at is the created_at of
-- its spans, which tells their writers; those of open spans are found by their traces.
--
-- A row may have been refused long after its span ended: the writer counts it in the transaction
-- that stores the others of the batch.
CREATE OR REPLACE FUNCTION trace_dropped(
    p_created_at timestamptz[],
    p_traces uuid[],
    p_since timestamptz,
    p_until timestamptz,
    OUT spans bigint,
    OUT by_reason text
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    v_writers uuid[];
BEGIN
    -- As a rule nobody has lost any since, and whose the spans are need not be asked.
    IF ((SELECT max(until) FROM trace_drops) >= p_since) IS NOT TRUE THEN
        spans := 0;
        RETURN;
    END IF;
    v_writers := ARRAY(SELECT writer_id FROM trace_batches WHERE committed_at = ANY (p_created_at));
    IF cardinality(p_traces) > 0 THEN
        v_writers := v_writers
            || ARRAY(SELECT writer_id FROM trace_open_spans WHERE trace_id = ANY (p_traces));
    END IF;

    SELECT
        coalesce(sum(lost), 0)::bigint,
        string_agg(reason || ' ' || lost, ', ' ORDER BY lost DESC, reason)
    INTO spans, by_reason
    FROM (
        SELECT reason, sum(drops.spans)::bigint AS lost
        FROM trace_drops AS drops
        WHERE writer_id = ANY (v_writers)
          AND until >= p_since
          AND (since <= p_until OR reason = 'rejected' AND until = ANY (p_created_at))
        GROUP BY reason
    ) AS reasons;
END
$$;

COMMENT ON FUNCTION trace_dropped(timestamptz[], uuid[], timestamptz, timestamptz) IS
    'How many spans were dropped between p_since and p_until, and why, by the writers of the '
    'batches with these created_at and of the open spans of p_traces.';

REVOKE ALL ON FUNCTION trace_dropped(timestamptz[], uuid[], timestamptz, timestamptz) FROM PUBLIC;
