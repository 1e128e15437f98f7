-- The counts in drops by reason, {"ring_full": 12}, as rows. What is no such count is left out: an
-- odd entry must not fail the transaction that stores spans.
--
-- Runs inside SECURITY DEFINER functions: see trace_ensure_days for the qualified names.
CREATE OR REPLACE FUNCTION trace_drop_counts(p_drops jsonb)
RETURNS TABLE (reason text, spans bigint)
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
    SELECT numbers.reason, numbers.number::bigint
    FROM (
        SELECT
            entry.key AS reason,
            CASE WHEN pg_catalog.jsonb_typeof(entry.value) = 'number'::text
                THEN entry.value::numeric END AS number
        FROM pg_catalog.jsonb_each(
            CASE WHEN pg_catalog.jsonb_typeof(p_drops) = 'object'::text THEN p_drops END
        ) AS entry
    ) AS numbers
    -- 1e15: far more than any process drops, and far from where sums overflow.
    WHERE numbers.number >= 1::numeric AND numbers.number <= 1e15::numeric
      AND numbers.number = pg_catalog.trunc(numbers.number)
$$;

COMMENT ON FUNCTION trace_drop_counts(jsonb) IS
    'Rows of reason and spans from an object of counts by reason; entries that are no positive '
    'whole number are left out, and so is what is no object.';

REVOKE ALL ON FUNCTION trace_drop_counts(jsonb) FROM PUBLIC;
