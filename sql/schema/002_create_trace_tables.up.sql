-- The tables that hold what happened. Fixed eight-byte columns come first, then uuids, then the
-- rest: it saves the padding that would otherwise take 5 to 8 % of the heap.
--
-- trace_spans has no unique key, trigger or foreign key, since each would be paid for by every
-- span. That no batch arrives twice is held by trace_batches instead.

CREATE SEQUENCE trace_spans_id_seq AS bigint CACHE 1000;

CREATE TABLE trace_spans (
    started_at     timestamptz NOT NULL,
    completed_at   timestamptz,
    duration_ns    bigint,
    execution_id   bigint,
    created_at     timestamptz NOT NULL DEFAULT now(),
    id             bigint      NOT NULL DEFAULT nextval('trace_spans_id_seq'),
    trace_id       uuid        NOT NULL,
    span_id        uuid        NOT NULL,
    parent_span_id uuid,
    duration_ms    integer,
    service        text        NOT NULL,
    operation      text        NOT NULL,
    status         text        NOT NULL DEFAULT 'started',
    job_id         text,
    model_id       text,
    region         text,
    error_type     text,
    error_message  text,
    metadata       jsonb,
    CONSTRAINT trace_spans_status_check
        CHECK (status IN ('started', 'completed', 'failed', 'timeout'))
) PARTITION BY RANGE (started_at);

ALTER SEQUENCE trace_spans_id_seq OWNED BY trace_spans.id;

CREATE TABLE trace_spans_default PARTITION OF trace_spans DEFAULT;

-- Few and lean: index insertion is half of the server's work for a span.
CREATE INDEX trace_spans_trace_id_idx ON trace_spans (trace_id);
CREATE INDEX trace_spans_execution_id_idx ON trace_spans (execution_id)
    WHERE execution_id IS NOT NULL;
CREATE INDEX trace_spans_started_at_idx ON trace_spans USING brin (started_at);
CREATE INDEX trace_spans_failures_idx ON trace_spans (started_at)
    WHERE status IN ('failed', 'timeout');

COMMENT ON SEQUENCE trace_spans_id_seq IS
    'Row numbers of trace_spans; each session takes a thousand at once, so there are gaps.';
COMMENT ON TABLE trace_spans IS
    'One row a span, written once and never updated; a partition a day (UTC) by started_at.';
COMMENT ON TABLE trace_spans_default IS
    'Spans of days that have no partition of their own, so that no time is ever refused.';
COMMENT ON INDEX trace_spans_trace_id_idx IS 'A trace''s spans.';
COMMENT ON INDEX trace_spans_execution_id_idx IS 'An execution''s spans.';
COMMENT ON INDEX trace_spans_started_at_idx IS 'Windows of time within a day.';
COMMENT ON INDEX trace_spans_failures_idx IS 'Recent failures, without reading what went well.';
COMMENT ON COLUMN trace_spans.started_at IS 'When the operation began.';
COMMENT ON COLUMN trace_spans.completed_at IS 'When it ended; NULL when no end was seen.';
COMMENT ON COLUMN trace_spans.duration_ns IS
    'Length in nanoseconds by the writer''s monotonic clock; NULL where the writer has none.';
COMMENT ON COLUMN trace_spans.execution_id IS 'The execution that the span belongs to, if known.';
COMMENT ON COLUMN trace_spans.created_at IS 'When the row was written.';
COMMENT ON COLUMN trace_spans.id IS 'Row number; unique, not gapless, not in order of time.';
COMMENT ON COLUMN trace_spans.trace_id IS 'W3C trace id as a UUID.';
COMMENT ON COLUMN trace_spans.span_id IS
    'W3C span id in the low 64 bits, the others 0; other writers may store a full UUID.';
COMMENT ON COLUMN trace_spans.parent_span_id IS 'The span that caused this one; NULL for a root.';
COMMENT ON COLUMN trace_spans.duration_ms IS 'Length in whole milliseconds.';
COMMENT ON COLUMN trace_spans.service IS 'Which program or component did it.';
COMMENT ON COLUMN trace_spans.operation IS 'What it did.';
COMMENT ON COLUMN trace_spans.status IS 'started (no end seen), completed, failed or timeout.';
COMMENT ON COLUMN trace_spans.job_id IS 'The job that the execution belongs to.';
COMMENT ON COLUMN trace_spans.model_id IS 'The model that was used.';
COMMENT ON COLUMN trace_spans.region IS 'Where it ran.';
COMMENT ON COLUMN trace_spans.error_type IS 'A short name or code of the error.';
COMMENT ON COLUMN trace_spans.error_message IS 'The error''s text.';
COMMENT ON COLUMN trace_spans.metadata IS 'Attributes of the span.';

CREATE TABLE trace_writers (
    writer_id       uuid        NOT NULL CONSTRAINT trace_writers_pkey PRIMARY KEY,
    started_at      timestamptz NOT NULL DEFAULT now(),
    last_seen_at    timestamptz NOT NULL DEFAULT now(),
    stopped_at      timestamptz,
    spans_started   bigint      NOT NULL DEFAULT 0,
    spans_persisted bigint      NOT NULL DEFAULT 0,
    spans_dropped   bigint      NOT NULL DEFAULT 0,
    pid             integer,
    service         text        NOT NULL,
    host            text,
    version         text,
    drops           jsonb       NOT NULL DEFAULT '{}',
    CONSTRAINT trace_writers_drops_check CHECK (jsonb_typeof(drops) = 'object')
);

COMMENT ON TABLE trace_writers IS
    'One row a process that writes spans, with what became of the spans that it started.';
COMMENT ON COLUMN trace_writers.writer_id IS 'Chosen by the process; a forked child has its own.';
COMMENT ON COLUMN trace_writers.started_at IS 'When the process began to trace.';
COMMENT ON COLUMN trace_writers.last_seen_at IS 'When it last wrote; an idle process is silent.';
COMMENT ON COLUMN trace_writers.stopped_at IS 'When it shut down in order; NULL otherwise.';
COMMENT ON COLUMN trace_writers.spans_started IS 'Spans started so far.';
COMMENT ON COLUMN trace_writers.spans_persisted IS 'Spans in trace_spans so far.';
COMMENT ON COLUMN trace_writers.spans_dropped IS 'Spans lost so far, the sum over drops.';
COMMENT ON COLUMN trace_writers.pid IS 'Process id on its host.';
COMMENT ON COLUMN trace_writers.service IS 'The process''s own service name.';
COMMENT ON COLUMN trace_writers.host IS 'Host name.';
COMMENT ON COLUMN trace_writers.version IS 'Version of the library.';
COMMENT ON COLUMN trace_writers.drops IS 'Spans lost so far by reason: {"ring_full": 12}.';

CREATE TABLE trace_batches (
    writer_id    uuid        NOT NULL,
    sequence     bigint      NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT now(),
    spans        integer     NOT NULL,
    CONSTRAINT trace_batches_pkey PRIMARY KEY (writer_id, sequence)
);

COMMENT ON TABLE trace_batches IS
    'The ledger: a row committed with each batch of spans, so that none can be sent twice.';
COMMENT ON COLUMN trace_batches.writer_id IS 'The writer, as in trace_writers.';
COMMENT ON COLUMN trace_batches.sequence IS 'The writer''s number of the batch.';
COMMENT ON COLUMN trace_batches.committed_at IS 'Start of the transaction that wrote the batch.';
COMMENT ON COLUMN trace_batches.spans IS 'Rows in the batch.';
