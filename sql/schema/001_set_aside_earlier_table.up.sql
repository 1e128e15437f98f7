-- A database may already hold trace_spans as an earlier program made it: a plain table. It is
-- renamed here, and its rows are moved by 003. Its views and functions have the names of ours but
-- other columns, so they go now. Whatever we do not recognise is left alone, and said.
DO $$
DECLARE
    c_known CONSTANT text[] := ARRAY[
        'completed_at', 'created_at', 'duration_ms', 'error_message', 'error_type',
        'execution_id', 'id', 'job_id', 'metadata', 'model_id', 'operation', 'parent_span_id',
        'region', 'service', 'span_id', 'started_at', 'status', 'trace_id'];
    v_schema  regnamespace := quote_ident(current_schema())::regnamespace;
    v_kind    "char";
    v_missing text;
    v_drop    text;
    v_granted text;
BEGIN
    SELECT relkind INTO v_kind
    FROM pg_class WHERE relname = 'trace_spans' AND relnamespace = v_schema;
    IF NOT found THEN
        RETURN;
    END IF;

    SELECT string_agg(known, ', ' ORDER BY known) INTO v_missing
    FROM unnest(c_known) AS known
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = format('%s.trace_spans', v_schema)::regclass
          AND attname = known AND NOT attisdropped
    );
    IF v_kind <> 'r' OR v_missing IS NOT NULL THEN
        RAISE EXCEPTION
            'trace_spans exists in schema % and is not one that can be adopted (%): rename it, or '
            'put another schema first in search_path',
            v_schema,
            CASE WHEN v_kind = 'r' THEN 'it lacks ' || v_missing ELSE 'not a plain table' END
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;

    -- Policies would hide rows from the move and from its count alike, and ours would have none.
    IF (SELECT relrowsecurity FROM pg_class
        WHERE oid = format('%s.trace_spans', v_schema)::regclass) THEN
        RAISE EXCEPTION
            'trace_spans in schema % has row-level security, which is not carried over: disable it '
            '(ALTER TABLE trace_spans DISABLE ROW LEVEL SECURITY) or rename the table', v_schema
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;

    -- Nobody may write between here and the end of the migration.
    LOCK TABLE trace_spans IN ACCESS EXCLUSIVE MODE;

    SELECT string_agg(DISTINCT relname, ', ') INTO v_granted
    FROM pg_class
    CROSS JOIN LATERAL aclexplode(relacl) AS acl
    WHERE relnamespace = v_schema AND relkind = 'v' AND acl.grantee <> relowner
      AND relname IN ('trace_waterfall', 'trace_spans_health');
    IF v_granted IS NOT NULL THEN
        RAISE INFO 'rights on the earlier % are not carried over: grant the role spanring_reader',
            v_granted;
    END IF;

    FOR v_drop IN
        SELECT format('DROP VIEW %s', oid::regclass)
        FROM pg_class
        WHERE relnamespace = v_schema AND relkind = 'v'
          AND relname IN ('trace_waterfall', 'trace_spans_health')
        UNION ALL
        SELECT format('DROP FUNCTION %s', oid::regprocedure)
        FROM pg_proc
        WHERE pronamespace = v_schema
          AND proname IN ('diagnose_execution_trace', 'find_similar_traces', 'identify_root_cause')
    LOOP
        EXECUTE v_drop;
    END LOOP;

    ALTER TABLE trace_spans RENAME TO trace_spans_earlier;

    -- Names of indexes, constraints and sequences are per schema: ours would clash with them.
    FOR v_drop IN
        SELECT format('ALTER INDEX %s RENAME TO %I', indexrelid::regclass,
                      'trace_spans_earlier_index_' || row_number() OVER (ORDER BY indexrelid))
        FROM pg_index WHERE indrelid = 'trace_spans_earlier'::regclass
        UNION ALL
        SELECT format('ALTER SEQUENCE %s RENAME TO trace_spans_earlier_id_seq', oid::regclass)
        FROM pg_class
        WHERE relnamespace = v_schema AND relkind = 'S' AND relname = 'trace_spans_id_seq'
    LOOP
        EXECUTE v_drop;
    END LOOP;
END
$$;
