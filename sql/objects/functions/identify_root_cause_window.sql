-- What changed between a window of time and a baseline window, blamed on services: one row a
-- service, most likely first, named by its operation that changed most. A row UNKNOWN: nothing
-- changed enough, or there is too little to compare; the evidence says which.
--
-- A call gap lies between two services. It is blamed on the side on which more of the other calls
-- grew too: where all callers of one wait longer, it is the callee; where one waits longer for all
-- that it calls, the caller. On a tie it is the callee.
CREATE OR REPLACE FUNCTION identify_root_cause_window(
    p_from timestamptz,
    p_to timestamptz,
    p_baseline_from timestamptz,
    p_baseline_to timestamptz,
    p_limit integer DEFAULT 10
)
RETURNS TABLE (
    root_cause_type text,
    affected_service text,
    affected_operation text,
    evidence text,
    recommendation text,
    confidence numeric,
    rank integer,
    span_ids uuid[],
    samples bigint,
    baseline_samples bigint,
    impact_ms numeric
)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path FROM CURRENT
SET enable_nestloop = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_limits record;
BEGIN
    IF p_limit IS NULL OR p_limit < 0 THEN
        RAISE EXCEPTION 'p_limit must be 0 or more, not %', coalesce(p_limit::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_limits FROM trace_limits;
    RETURN QUERY
    WITH changes AS MATERIALIZED (
        SELECT
            *,
            CASE WHEN change_kind IN ('self_time', 'call_gap')
                THEN (value - baseline_value) * spans END AS added_ns
        FROM trace_window_changes(p_from, p_to, p_baseline_from, p_baseline_to)
    ),
    -- A pair of services, and what a call between the two lost more than before.
    pairs AS MATERIALIZED (
        SELECT
            caller_service, service,
            avg(CASE WHEN is_change THEN value - baseline_value ELSE 0 END) AS lost_ns
        FROM changes
        WHERE change_kind = 'call_gap' AND is_enough
        GROUP BY caller_service, service
    ),
    busy AS (
        SELECT service, 0.1 AS more FROM changes
        WHERE change_kind = 'self_time' AND is_change
        GROUP BY service
    ),
    -- Of the pairs around either side, how many lost as much as this one, those that lost less in
    -- part. One is added below, so that six pairs of six say more than one of one.
    sides AS (
        SELECT
            pairs.caller_service, pairs.service,
            sum(least(around.lost_ns / pairs.lost_ns, 1))
                    FILTER (WHERE around.caller_service = pairs.caller_service)
                / (count(*) FILTER (WHERE around.caller_service = pairs.caller_service) + 1)
                + coalesce(min(of_caller.more), 0) AS caller_share,
            sum(least(around.lost_ns / pairs.lost_ns, 1))
                    FILTER (WHERE around.service = pairs.service)
                / (count(*) FILTER (WHERE around.service = pairs.service) + 1)
                + coalesce(min(of_callee.more), 0) AS callee_share
        FROM pairs
        JOIN pairs AS around
            ON around.caller_service = pairs.caller_service OR around.service = pairs.service
        LEFT JOIN busy AS of_caller ON of_caller.service = pairs.caller_service
        LEFT JOIN busy AS of_callee ON of_callee.service = pairs.service
        WHERE pairs.lost_ns > 0
        GROUP BY pairs.caller_service, pairs.service
    ),
    blamed AS (
        SELECT
            changes.*,
            CASE WHEN sides.caller_share > sides.callee_share
                THEN changes.caller_service ELSE changes.service END AS blamed_service,
            CASE change_kind
                WHEN 'self_time' THEN format(
                    '%s itself took %s, before %s',
                    trace_label(changes.service, operation), trace_seconds(value),
                    trace_seconds(baseline_value))
                WHEN 'call_gap' THEN format(
                    '%s between %s and %s beyond the callee''s own time, before %s',
                    trace_seconds(value), changes.caller_service,
                    trace_label(changes.service, operation), trace_seconds(baseline_value))
                WHEN 'error_rate' THEN format(
                    '%s %% of %s failed with no failure below, before %s %%',
                    round(100 * value, 1), trace_label(changes.service, operation),
                    round(100 * baseline_value, 1))
                ELSE format(
                    '%s called %s %s times each, before %s',
                    trace_label(changes.service, operation),
                    trace_label(called_service, called_operation), round(value, 2),
                    round(baseline_value, 2))
            END || format(
                ' (%sz = %s, %s traces, before %s)',
                round(ratio, 1) || ' times as much, ', round(z_score, 1), samples,
                baseline_samples) AS said
        FROM changes
        LEFT JOIN sides
            ON changes.change_kind = 'call_gap' AND sides.service = changes.service
            AND sides.caller_service = changes.caller_service
        WHERE changes.is_change
    ),
    ordered AS (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY blamed_service
                -- What names the service itself goes before what lies around it.
                ORDER BY change_kind = 'error_rate' DESC, added_ns DESC NULLS LAST,
                    abs(z_score) DESC, service, operation
            ) AS place
        FROM blamed
    ),
    services AS (
        SELECT
            blamed_service AS service,
            coalesce(sum(added_ns), 0) AS added_ns,
            sum(sum(added_ns)) OVER () AS all_added_ns,
            coalesce(sum(added_ns) FILTER (WHERE change_kind = 'call_gap'), 0) AS gap_ns,
            bool_or(change_kind = 'error_rate') AS has_errors,
            coalesce(sum(time_share), 0) AS time_share,
            max(abs(z_score)) AS z,
            max(abs(z_score)) FILTER (WHERE change_kind = 'call_count') AS count_z,
            max(samples) AS samples,
            max(baseline_samples) AS baseline_samples,
            max(CASE WHEN place = 1 THEN
                CASE WHEN service <> blamed_service THEN caller_operation ELSE operation END
            END) AS operation,
            string_agg(said, '; ' ORDER BY place) FILTER (WHERE place <= 3) AS said,
            count(*) AS changes,
            (array_agg(span_ids[1] ORDER BY place) FILTER (WHERE span_ids IS NOT NULL))[1:10]
                AS span_ids
        FROM ordered
        GROUP BY blamed_service
    ),
    candidates AS (
        SELECT
            CASE
                WHEN has_errors THEN 'ERROR_RATE'
                WHEN added_ns = 0 THEN 'CALL_PATTERN'
                WHEN gap_ns > added_ns / 2 THEN 'SLOW_CALLS'
                ELSE 'SLOW_SERVICE'
            END AS type,
            service, operation,
            said || CASE WHEN changes > 3 THEN format('; %s changes more', changes - 3) ELSE '' END
                AS evidence,
            -- Errors explain slowness. Slowness counts by its part of all that was added, and of
            -- its traces' time; few traces say less.
            CASE
                WHEN has_errors THEN 0.95
                ELSE greatest(
                    CASE WHEN added_ns > 0 THEN
                        0.30 + 0.30 * added_ns / all_added_ns + 0.30 * least(time_share / 0.25, 1)
                    END,
                    CASE WHEN count_z > 0 THEN
                        0.40 + 0.30 * least((count_z - v_limits.window_count_z) / 6, 1)
                    END)
            END - CASE WHEN samples < 5 THEN 0.10 ELSE 0 END AS confidence,
            added_ns, z, span_ids, samples, baseline_samples
        FROM services
    ),
    compared AS (
        SELECT
            count(*) FILTER (WHERE samples > 0 AND baseline_samples > 0) AS measures,
            count(*) FILTER (WHERE is_enough) AS enough,
            coalesce(max(samples), 0) AS samples,
            coalesce(max(baseline_samples), 0) AS baseline_samples
        FROM changes
    ),
    nearest AS (
        SELECT
            format('%s %s: z = %s', change_kind, trace_label(service, operation),
                round(z_score, 1)) AS said
        FROM changes
        WHERE is_enough AND NOT is_change
        ORDER BY abs(z_score) DESC, service, operation
        LIMIT 1
    ),
    answers AS (
        SELECT * FROM candidates
        UNION ALL
        SELECT
            'UNKNOWN', NULL, NULL,
            CASE
                WHEN measures = 0 THEN 'no operation has spans in both windows'
                WHEN enough = 0 THEN format(
                    'too few traces to compare: at most %s, before %s', samples, baseline_samples)
                ELSE format(
                    'none of %s measures of operations changed enough; nearest was %s',
                    enough, coalesce((SELECT said FROM nearest), 'none'))
            END,
            0.00, 0, 0, ARRAY[]::uuid[], samples, baseline_samples
        FROM compared
        WHERE NOT EXISTS (SELECT FROM candidates)
    )
    SELECT
        type, service, operation, evidence,
        CASE type
            WHEN 'ERROR_RATE' THEN
                'read the logs of ' || service || ' from then on, and what was deployed or '
                'configured there'
            WHEN 'SLOW_SERVICE' THEN
                'check CPU, memory and what ' || service || ' waits for that is not traced: '
                'locks, disks, databases; what was deployed there'
            WHEN 'SLOW_CALLS' THEN
                'check the network, queues and CPU of ' || service || ': its calls lose time that '
                'neither side''s spans account for'
            WHEN 'CALL_PATTERN' THEN
                'check what changed in ' || service || ': it calls others more or less often, '
                'which early returns, retries or other traffic do'
            ELSE 'choose wider windows, or a baseline with the same traffic'
        END,
        round(confidence, 2),
        (row_number() OVER ranking)::integer,
        span_ids, samples, baseline_samples,
        round(added_ns / 1e6, 3)
    FROM answers
    WINDOW ranking AS (
        ORDER BY round(confidence, 2) DESC, added_ns DESC, z DESC, service
    )
    ORDER BY 7
    LIMIT p_limit;
END
$$;

COMMENT ON FUNCTION identify_root_cause_window(
    timestamptz, timestamptz, timestamptz, timestamptz, integer) IS
    'Services whose own time, calls, errors or call counts changed between a window and a baseline '
    'window, most likely cause first, with evidence and sample sizes; UNKNOWN: nothing did, or '
    'there is too little to compare.';

REVOKE ALL ON FUNCTION identify_root_cause_window(
    timestamptz, timestamptz, timestamptz, timestamptz, integer) FROM PUBLIC;
