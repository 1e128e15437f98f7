-- Brings a writer's counts up to date, and says in trace_drops when its drops grew. It is behind
-- trace_writer_counted and trace_writer_recovered, which run it as the owner: hence the qualified
-- names, see trace_ensure_days.
--
-- The counts of drops were taken before the transaction began, so now() is the nearest known time.
CREATE OR REPLACE FUNCTION trace_count_writer(
    p_writer_id uuid,
    p_persisted bigint,
    p_started bigint,
    p_drops jsonb,
    p_stopped boolean,
    p_recovered boolean
)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    v_started    bigint;
    v_sampled    bigint;
    v_persisted  bigint;
    v_drops      jsonb;
    v_dropped    bigint;
    v_drops_then jsonb;
    v_counted_at timestamptz;
    v_lost       bigint;
    v_given_up   bigint;
    v_found      bigint;
    v_counted    boolean := coalesce(pg_catalog.jsonb_typeof(p_drops) = 'object'::text, false);
BEGIN
    -- Connections of one process take turns.
    SELECT
        greatest(writers.spans_started, p_started),
        writers.spans_persisted + greatest(p_persisted, 0::bigint),
        writers.spans_sampled_out, writers.drops, writers.spans_dropped, writers.counted_at
    INTO v_started, v_persisted, v_sampled, v_drops, v_dropped, v_counted_at
    FROM trace_writers AS writers
    WHERE writers.writer_id = p_writer_id
    FOR UPDATE;
    IF NOT found THEN
        RETURN;
    END IF;
    v_drops_then := v_drops;

    IF v_counted THEN
        -- The highest that was ever said, since an older count may come late.
        SELECT
            coalesce(pg_catalog.jsonb_object_agg(highest.reason, highest.spans), '{}'::jsonb),
            coalesce(pg_catalog.sum(highest.spans), 0::numeric)::bigint
        INTO v_drops, v_dropped
        FROM (
            SELECT counts.reason, pg_catalog.max(counts.spans) AS spans
            FROM (
                SELECT earlier.reason, earlier.spans FROM trace_drop_counts(v_drops) AS earlier
                UNION ALL
                SELECT later.reason, later.spans FROM trace_drop_counts(p_drops) AS later
            ) AS counts
            GROUP BY counts.reason
        ) AS highest;
    END IF;

    -- What a killed process started, and what is neither here nor known to be dropped.
    v_lost := v_started - v_persisted - v_sampled - v_dropped;
    IF p_recovered AND p_started IS NOT NULL AND v_lost > 0 THEN
        v_drops := v_drops || pg_catalog.jsonb_build_object(
            'crash'::text,
            v_lost + coalesce(
                (SELECT counts.spans FROM trace_drop_counts(v_drops) AS counts
                 WHERE counts.reason = 'crash'::text),
                0::bigint));
        v_dropped := v_dropped + v_lost;
        v_counted := true;
    END IF;

    -- What a shutdown gave up, not knowing whether it was committed, and is there all the same.
    IF p_recovered AND p_started IS NOT NULL AND v_lost < 0 THEN
        SELECT least(counts.spans, -v_lost), counts.spans INTO v_found, v_given_up
        FROM trace_drop_counts(v_drops) AS counts
        WHERE counts.reason = 'shutdown'::text;
        IF found THEN
            v_drops := v_drops - 'shutdown'::text;
            IF v_given_up > v_found THEN
                v_drops := v_drops || pg_catalog.jsonb_build_object(
                    'shutdown'::text, v_given_up - v_found);
            END IF;
            v_dropped := v_dropped - v_found;
        END IF;
    END IF;

    -- A transaction that waited for a later one to commit has the earlier time.
    INSERT INTO trace_drops (since, until, spans, writer_id, reason)
    SELECT
        least(v_counted_at, pg_catalog.now()), greatest(v_counted_at, pg_catalog.now()),
        counts.spans - coalesce(earlier.spans, 0::bigint), p_writer_id, counts.reason
    FROM trace_drop_counts(v_drops) AS counts
    LEFT JOIN trace_drop_counts(v_drops_then) AS earlier ON earlier.reason = counts.reason
    WHERE counts.spans > coalesce(earlier.spans, 0::bigint);

    UPDATE trace_writers AS writers
    SET spans_started = v_started,
        spans_persisted = v_persisted,
        spans_dropped = v_dropped,
        drops = v_drops,
        counted_at = CASE
            WHEN v_counted THEN greatest(v_counted_at, pg_catalog.now()) ELSE v_counted_at
        END,
        -- The process itself is not seen when another one speaks for it.
        last_seen_at = CASE
            WHEN p_recovered THEN writers.last_seen_at ELSE pg_catalog.now()
        END,
        stopped_at = CASE WHEN p_stopped THEN pg_catalog.now() ELSE writers.stopped_at END,
        recovered_at = CASE
            WHEN p_recovered THEN coalesce(writers.recovered_at, pg_catalog.now())
            ELSE writers.recovered_at
        END
    WHERE writers.writer_id = p_writer_id;
END
$$;

COMMENT ON FUNCTION trace_count_writer(uuid, bigint, bigint, jsonb, boolean, boolean) IS
    'Adds to a writer''s persisted spans, raises its started ones and its drops by reason to the '
    'given counts, and adds the growth of drops to trace_drops; for a recovered writer, what is '
    'missing then is dropped as crash. Nothing when the writer has no row.';

REVOKE ALL ON FUNCTION trace_count_writer(uuid, bigint, bigint, jsonb, boolean, boolean)
    FROM PUBLIC;
