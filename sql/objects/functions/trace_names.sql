-- Texts that a writer sends amid a statement without parameters: each in base64, so that nothing in
-- them can be SQL.
--
-- Runs inside SECURITY DEFINER functions: see trace_ensure_days for the qualified names.
CREATE OR REPLACE FUNCTION trace_names(p_names text[])
RETURNS text[]
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
    SELECT coalesce(
        pg_catalog.array_agg(
            pg_catalog.convert_from(
                pg_catalog.decode(names.value, 'base64'::text), 'UTF8'::name)
            ORDER BY names.n),
        '{}'::text[])
    FROM pg_catalog.unnest(p_names) WITH ORDINALITY AS names (value, n)
$$;

COMMENT ON FUNCTION trace_names(text[]) IS 'Texts that are given in base64.';

REVOKE ALL ON FUNCTION trace_names(text[]) FROM PUBLIC;
