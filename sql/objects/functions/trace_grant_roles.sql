-- Creates the two group roles where that is allowed, and grants them what they need. Rerunnable:
-- whoever created the roles later calls it once more as the owner of the tables.
CREATE OR REPLACE FUNCTION trace_grant_roles()
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    v_schema text := current_schema();
    v_role   text;
    v_object text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['spanring_reader', 'spanring_writer'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = v_role);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
        EXCEPTION
            -- Roles belong to the whole server: another database may be migrated right now.
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RAISE INFO 'role % was skipped: % may not create roles; create it as a superuser, '
                    'then run SELECT %.trace_grant_roles()',
                    v_role, current_user, quote_ident(v_schema);
        END;
    END LOOP;

    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'spanring_writer') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO spanring_writer', v_schema);
        GRANT INSERT ON trace_spans TO spanring_writer;
        GRANT USAGE ON SEQUENCE trace_spans_id_seq TO spanring_writer;
        GRANT INSERT ON trace_batches TO spanring_writer;
        GRANT INSERT ON trace_open_spans TO spanring_writer;
        -- Earlier versions granted these, on whole tables or on columns.
        REVOKE SELECT ON trace_batches FROM spanring_writer;
        REVOKE SELECT, INSERT, UPDATE ON trace_writers FROM spanring_writer;
        FOREACH v_object IN ARRAY ARRAY[
            'trace_add_executions', 'trace_add_rollups', 'trace_close_spans', 'trace_ensure_days',
            'trace_ensure_partitions', 'trace_maintain', 'trace_writer_counted',
            'trace_writer_recovered', 'trace_writer_sampled_out', 'trace_writer_started'
        ] LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %I TO spanring_writer', v_object);
        END LOOP;
    END IF;

    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'spanring_reader') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO spanring_reader', v_schema);
        FOREACH v_object IN ARRAY ARRAY[
            'spanring_migrations', 'trace_batches', 'trace_drops', 'trace_error_patterns',
            'trace_execution_summaries', 'trace_executions', 'trace_folded_days', 'trace_limits',
            'trace_maintenance', 'trace_open_spans', 'trace_partitions', 'trace_rollups',
            'trace_spans', 'trace_spans_health', 'trace_stored_spans', 'trace_waterfall',
            'trace_writers'
        ] LOOP
            EXECUTE format('GRANT SELECT ON %I TO spanring_reader', v_object);
        END LOOP;
        FOREACH v_object IN ARRAY ARRAY[
            'compare_executions', 'compare_operations', 'diagnose_execution_trace',
            'find_similar_traces', 'identify_root_cause', 'identify_root_cause_window',
            'trace_advice', 'trace_baselines', 'trace_bucket', 'trace_bucket_ns',
            'trace_clock_skew', 'trace_critical_path', 'trace_dependencies', 'trace_dropped',
            'trace_edit_distance', 'trace_error_origins', 'trace_export_attributes', 'trace_forest',
            'trace_gaps', 'trace_jaeger_tags', 'trace_label', 'trace_match_error',
            'trace_network_times', 'trace_operation_latencies', 'trace_otlp_attributes',
            'trace_otlp_value', 'trace_root_cause', 'trace_root_cause_slow', 'trace_search',
            'trace_seconds', 'trace_to_csv', 'trace_to_jaeger', 'trace_to_otlp',
            'trace_to_perfetto', 'trace_tree', 'trace_tree_gaps', 'trace_tree_path',
            'trace_tree_shifted_gaps', 'trace_tree_skew', 'trace_unix_us', 'trace_window_changes'
        ] LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %I TO spanring_reader', v_object);
        END LOOP;
    END IF;
END
$$;

COMMENT ON FUNCTION trace_grant_roles() IS
    'Creates the group roles spanring_writer and spanring_reader where the caller may, and grants '
    'them their rights; for the owner of the tables.';

REVOKE ALL ON FUNCTION trace_grant_roles() FROM PUBLIC;
