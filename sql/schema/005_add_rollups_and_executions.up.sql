-- What is asked often, kept as sums: how long operations take, and what each execution came to.
-- Writers add to both in the transaction of each batch; for rows that others inserted see
-- trace_fold_day().

CREATE TABLE trace_rollups (
    starts_at   timestamptz NOT NULL,
    spans       bigint      NOT NULL,
    roots       bigint      NOT NULL,
    samples     bigint      NOT NULL,
    sum_ns      numeric     NOT NULL,
    min_ns      bigint,
    max_ns      bigint,
    hours       smallint    NOT NULL,
    is_folded   boolean     NOT NULL,
    service     text        NOT NULL,
    operation   text        NOT NULL,
    status      text        NOT NULL,
    buckets     integer[]   NOT NULL,
    counts      bigint[]    NOT NULL,
    CONSTRAINT trace_rollups_pkey
        PRIMARY KEY (service, operation, status, hours, starts_at, is_folded),
    CONSTRAINT trace_rollups_hours_check CHECK (hours IN (1, 24)),
    CONSTRAINT trace_rollups_counts_check CHECK (cardinality(buckets) = cardinality(counts))
-- Rows are updated with each batch: room for that on the page, and no waiting for a fifth of it.
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);

CREATE INDEX trace_rollups_starts_at_idx ON trace_rollups (hours, starts_at);

COMMENT ON TABLE trace_rollups IS
    'Durations per service, operation and status, for each hour and for each day (UTC), as '
    'histograms with a relative error of 1 %.';
COMMENT ON INDEX trace_rollups_starts_at_idx IS 'All operations of a time.';
COMMENT ON COLUMN trace_rollups.starts_at IS 'Begin of the hour or day in which the spans began.';
COMMENT ON COLUMN trace_rollups.spans IS 'Spans in all.';
COMMENT ON COLUMN trace_rollups.roots IS 'Those without a parent: one a trace, as a rule.';
COMMENT ON COLUMN trace_rollups.samples IS 'Those of known duration.';
COMMENT ON COLUMN trace_rollups.sum_ns IS 'Their durations'' sum.';
COMMENT ON COLUMN trace_rollups.min_ns IS 'The shortest.';
COMMENT ON COLUMN trace_rollups.max_ns IS 'The longest.';
COMMENT ON COLUMN trace_rollups.hours IS 'Length of the time: 1, or 24 for the sum of a day.';
COMMENT ON COLUMN trace_rollups.is_folded IS
    'Spans that no batch of trace_batches brought, summed by trace_fold_day().';
COMMENT ON COLUMN trace_rollups.service IS 'As in trace_spans.';
COMMENT ON COLUMN trace_rollups.operation IS 'As in trace_spans.';
COMMENT ON COLUMN trace_rollups.status IS 'As in trace_spans.';
COMMENT ON COLUMN trace_rollups.buckets IS 'Buckets that are not empty, as trace_bucket() has them.';
COMMENT ON COLUMN trace_rollups.counts IS 'Spans in each of them.';

CREATE TABLE trace_execution_summaries (
    started_at       timestamptz NOT NULL,
    ended_at         timestamptz NOT NULL,
    execution_id     bigint      NOT NULL
        CONSTRAINT trace_execution_summaries_pkey PRIMARY KEY,
    spans            bigint      NOT NULL,
    failed_spans     bigint      NOT NULL,
    timeout_spans    bigint      NOT NULL,
    root_duration_ns bigint,
    trace_id         uuid        NOT NULL,
    root_service     text,
    root_operation   text,
    root_status      text,
    job_id           text,
    model_id         text,
    region           text,
    services         text[]      NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX trace_execution_summaries_started_at_idx ON trace_execution_summaries (started_at);

COMMENT ON TABLE trace_execution_summaries IS
    'One row an execution, from its finished spans so far; read it through trace_executions.';
COMMENT ON INDEX trace_execution_summaries_started_at_idx IS 'The newest executions.';
COMMENT ON COLUMN trace_execution_summaries.started_at IS 'When its first span began.';
COMMENT ON COLUMN trace_execution_summaries.ended_at IS 'When its last span ended.';
COMMENT ON COLUMN trace_execution_summaries.execution_id IS 'As in trace_spans.';
COMMENT ON COLUMN trace_execution_summaries.spans IS 'Spans that carry its id.';
COMMENT ON COLUMN trace_execution_summaries.failed_spans IS 'Of those, failed.';
COMMENT ON COLUMN trace_execution_summaries.timeout_spans IS 'Of those, timed out.';
COMMENT ON COLUMN trace_execution_summaries.root_duration_ns IS
    'Duration of the longest span without a parent, the root; NULL when there is none.';
COMMENT ON COLUMN trace_execution_summaries.trace_id IS 'The root''s trace, or else any of them.';
COMMENT ON COLUMN trace_execution_summaries.root_service IS 'The root''s service.';
COMMENT ON COLUMN trace_execution_summaries.root_operation IS 'The root''s operation.';
COMMENT ON COLUMN trace_execution_summaries.root_status IS 'The root''s status.';
COMMENT ON COLUMN trace_execution_summaries.job_id IS 'The job that it belongs to.';
COMMENT ON COLUMN trace_execution_summaries.model_id IS 'The model that was used.';
COMMENT ON COLUMN trace_execution_summaries.region IS 'Where it ran.';
COMMENT ON COLUMN trace_execution_summaries.services IS
    'The services that took part; some may stand there twice.';

CREATE TABLE trace_maintenance (
    last_started_at timestamptz NOT NULL DEFAULT '-infinity',
    retention_days  integer,
    is_only_row     boolean     NOT NULL DEFAULT true
        CONSTRAINT trace_maintenance_pkey PRIMARY KEY,
    CONSTRAINT trace_maintenance_retention_check CHECK (retention_days >= 1),
    CONSTRAINT trace_maintenance_one_row_check CHECK (is_only_row)
);
INSERT INTO trace_maintenance DEFAULT VALUES;

COMMENT ON TABLE trace_maintenance IS 'One row: what trace_maintain() is to do, and when it did.';
COMMENT ON COLUMN trace_maintenance.last_started_at IS 'When maintenance last began.';
COMMENT ON COLUMN trace_maintenance.retention_days IS
    'Spans older than so many days are removed; NULL keeps them.';
COMMENT ON COLUMN trace_maintenance.is_only_row IS 'True: there is no second row.';

CREATE TABLE trace_folded_days (
    day           date        NOT NULL CONSTRAINT trace_folded_days_pkey PRIMARY KEY,
    rows_inserted bigint      NOT NULL,
    folded_at     timestamptz NOT NULL DEFAULT now(),
    spans         bigint      NOT NULL
);

COMMENT ON TABLE trace_folded_days IS
    'Days whose rows by other writers are in trace_rollups and trace_execution_summaries.';
COMMENT ON COLUMN trace_folded_days.day IS 'The day, UTC, by started_at.';
COMMENT ON COLUMN trace_folded_days.rows_inserted IS
    'Rows ever inserted into its partition by then, as the server counted: it changed when there is '
    'something to fold.';
COMMENT ON COLUMN trace_folded_days.folded_at IS 'When it was folded last.';
COMMENT ON COLUMN trace_folded_days.spans IS 'Spans by other writers.';

-- Writers of earlier versions add no sums.
ALTER TABLE trace_batches ADD COLUMN is_summed boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN trace_batches.is_summed IS
    'Its spans are in trace_rollups and trace_execution_summaries since its own transaction.';
