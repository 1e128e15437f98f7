-- Sums what other writers inserted into trace_spans for a day (UTC, by started_at): rows that no
-- batch brought which summed them itself. Their rollups are made anew, and the summaries of the executions
-- that they belong to are counted anew, so that folding twice changes nothing.
--
-- Runs inside trace_maintain as the owner: see trace_ensure_days for the qualified names.
CREATE OR REPLACE FUNCTION trace_fold_day(p_day date, p_rows_inserted bigint DEFAULT 0)
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SET search_path FROM CURRENT
SET timezone = 'UTC'
SET jit = off
AS $$
DECLARE
    v_from       timestamptz := p_day::timestamptz;
    v_to         timestamptz := (p_day + 1)::timestamptz;
    v_spans      bigint;
    v_executions bigint[];
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(
        pg_catalog.hashtextextended('trace_fold_day'::text, 0::bigint));

    DELETE FROM trace_rollups AS rollups
    WHERE rollups.is_folded AND rollups.hours IN (1::smallint, 24::smallint)
      AND rollups.starts_at >= v_from AND rollups.starts_at < v_to;

    WITH others AS MATERIALIZED (
        SELECT
            -- Tracers and imports cut names so; longer ones would not fit into the index.
            pg_catalog."left"(spans.service, 255) AS service,
            pg_catalog."left"(spans.operation, 255) AS operation,
            spans.status, spans.started_at, spans.duration_ns,
            spans.execution_id, spans.parent_span_id IS NULL AS is_root
        FROM trace_stored_spans AS spans
        WHERE spans.started_at >= v_from AND spans.started_at < v_to
          AND NOT EXISTS (
              SELECT FROM trace_batches AS batches
              WHERE batches.committed_at = spans.created_at AND batches.is_summed
          )
    ),
    cells AS MATERIALIZED (
        SELECT
            others.service, others.operation, others.status, periods.hours,
            pg_catalog.date_trunc(periods.name, others.started_at) AS starts_at,
            trace_bucket(others.duration_ns) AS bucket,
            pg_catalog.count(*) AS spans,
            pg_catalog.count(*) FILTER (WHERE others.is_root) AS roots,
            pg_catalog.count(others.duration_ns) AS samples,
            pg_catalog.sum(others.duration_ns) AS sum_ns,
            pg_catalog.min(others.duration_ns) AS min_ns,
            pg_catalog.max(others.duration_ns) AS max_ns
        FROM others
        CROSS JOIN (
            VALUES (1::smallint, 'hour'::text), (24::smallint, 'day'::text)
        ) AS periods (hours, name)
        GROUP BY 1, 2, 3, 4, 5, 6
    ),
    added AS (
        INSERT INTO trace_rollups (
            starts_at, spans, roots, samples, sum_ns, min_ns, max_ns, hours, is_folded, service,
            operation, status, buckets, counts
        )
        SELECT
            cells.starts_at, pg_catalog.sum(cells.spans)::bigint,
            pg_catalog.sum(cells.roots)::bigint,
            pg_catalog.sum(cells.samples)::bigint,
            coalesce(pg_catalog.sum(cells.sum_ns), 0::numeric),
            pg_catalog.min(cells.min_ns), pg_catalog.max(cells.max_ns), cells.hours, true,
            cells.service, cells.operation, cells.status,
            coalesce(
                pg_catalog.array_agg(cells.bucket ORDER BY cells.bucket)
                    FILTER (WHERE cells.bucket IS NOT NULL),
                '{}'::integer[]),
            coalesce(
                pg_catalog.array_agg(cells.samples ORDER BY cells.bucket)
                    FILTER (WHERE cells.bucket IS NOT NULL),
                '{}'::bigint[])
        FROM cells
        GROUP BY cells.service, cells.operation, cells.status, cells.hours, cells.starts_at
    )
    SELECT
        pg_catalog.count(*),
        pg_catalog.array_agg(DISTINCT others.execution_id)
            FILTER (WHERE others.execution_id IS NOT NULL)
    INTO v_spans, v_executions
    FROM others;

    PERFORM trace_summarize_executions(v_executions, v_from, v_to);

    INSERT INTO trace_folded_days AS folded (day, rows_inserted, spans)
    VALUES (p_day, p_rows_inserted, v_spans)
    ON CONFLICT (day) DO UPDATE SET
        rows_inserted = excluded.rows_inserted, folded_at = pg_catalog.now(),
        spans = excluded.spans;
    RETURN v_spans;
END
$$;

COMMENT ON FUNCTION trace_fold_day(date, bigint) IS
    'Brings trace_rollups and trace_execution_summaries up to date with a day''s rows by other '
    'writers, and returns how many there are; p_rows_inserted is noted in trace_folded_days.';

REVOKE ALL ON FUNCTION trace_fold_day(date, bigint) FROM PUBLIC;
