-- PostgreSQL 18 names NOT NULL constraints. Where 001 set an earlier table aside, it had taken the
-- names that a fresh install gets.
DO $$
DECLARE
    v_rename text;
BEGIN
    FOR v_rename IN
        SELECT format('ALTER TABLE trace_spans RENAME CONSTRAINT %I TO %I',
                      conname, 'trace_spans_' || attname || '_not_null')
        FROM pg_constraint
        JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
        WHERE conrelid = 'trace_spans'::regclass AND contype = 'n'
          AND conname <> 'trace_spans_' || attname || '_not_null'
    LOOP
        EXECUTE v_rename;
    END LOOP;
END
$$;
