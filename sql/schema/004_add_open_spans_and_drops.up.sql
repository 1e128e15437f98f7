-- What is under way, and what was lost when: open spans, drops by time, and when a process that
-- was killed was accounted for. Fixed eight-byte columns first again.

CREATE TABLE trace_open_spans (
    started_at     timestamptz NOT NULL,
    execution_id   bigint,
    reported_at    timestamptz NOT NULL DEFAULT now(),
    trace_id       uuid        NOT NULL,
    span_id        uuid        NOT NULL,
    parent_span_id uuid,
    writer_id      uuid        NOT NULL,
    service        text        NOT NULL,
    operation      text        NOT NULL,
    job_id         text,
    model_id       text,
    region         text,
    metadata       jsonb,
    CONSTRAINT trace_open_spans_pkey PRIMARY KEY (trace_id, span_id, writer_id)
);

CREATE INDEX trace_open_spans_execution_id_idx ON trace_open_spans (execution_id)
    WHERE execution_id IS NOT NULL;
CREATE INDEX trace_open_spans_writer_id_idx ON trace_open_spans (writer_id);

COMMENT ON TABLE trace_open_spans IS
    'Spans that have been open for a while: a row goes in the transaction that stores the finished '
    'span in trace_spans, or accounts for the end of its process.';
COMMENT ON INDEX trace_open_spans_execution_id_idx IS 'An execution''s open spans.';
COMMENT ON INDEX trace_open_spans_writer_id_idx IS 'A process''s open spans, when it is gone.';
COMMENT ON COLUMN trace_open_spans.started_at IS 'When the operation began.';
COMMENT ON COLUMN trace_open_spans.execution_id IS
    'The execution that the span belongs to, if known.';
COMMENT ON COLUMN trace_open_spans.reported_at IS 'When the row was written.';
COMMENT ON COLUMN trace_open_spans.trace_id IS 'As in trace_spans.';
COMMENT ON COLUMN trace_open_spans.span_id IS 'As in trace_spans.';
COMMENT ON COLUMN trace_open_spans.parent_span_id IS
    'The span that caused this one; NULL for a root.';
COMMENT ON COLUMN trace_open_spans.writer_id IS 'Whose span it is, as in trace_writers.';
COMMENT ON COLUMN trace_open_spans.service IS 'Which program or component does it.';
COMMENT ON COLUMN trace_open_spans.operation IS 'What it does.';
COMMENT ON COLUMN trace_open_spans.job_id IS 'The job that the execution belongs to.';
COMMENT ON COLUMN trace_open_spans.model_id IS 'The model that is used.';
COMMENT ON COLUMN trace_open_spans.region IS 'Where it runs.';
COMMENT ON COLUMN trace_open_spans.metadata IS 'Attributes of the span so far.';

-- No unique key: two connections of one process may each account for a growth at one moment.
CREATE TABLE trace_drops (
    since     timestamptz NOT NULL,
    until     timestamptz NOT NULL,
    spans     bigint      NOT NULL,
    writer_id uuid        NOT NULL,
    reason    text        NOT NULL,
    CONSTRAINT trace_drops_spans_check CHECK (spans > 0)
);

CREATE INDEX trace_drops_until_idx ON trace_drops (until);
CREATE INDEX trace_drops_writer_id_until_idx ON trace_drops (writer_id, until);

COMMENT ON TABLE trace_drops IS
    'When spans were lost: so many by that writer for that reason, at some time in the window '
    'between two of its counts.';
COMMENT ON INDEX trace_drops_until_idx IS 'Windows that reach into a range of time.';
COMMENT ON INDEX trace_drops_writer_id_until_idx IS 'The same of one writer.';
COMMENT ON COLUMN trace_drops.since IS 'Begin of the window: when the writer counted before.';
COMMENT ON COLUMN trace_drops.until IS 'End of the window: when the writer counted these.';
COMMENT ON COLUMN trace_drops.spans IS 'Spans lost in the window.';
COMMENT ON COLUMN trace_drops.writer_id IS 'The writer, as in trace_writers.';
COMMENT ON COLUMN trace_drops.reason IS 'Why, as in trace_writers.drops.';

ALTER TABLE trace_writers
    ADD COLUMN recovered_at timestamptz,
    ADD COLUMN counted_at timestamptz NOT NULL DEFAULT now();

-- Until now each sign of life stored the counts.
UPDATE trace_writers SET counted_at = last_seen_at;

COMMENT ON COLUMN trace_writers.recovered_at IS
    'When what the process left behind, when it was killed, was delivered by another.';
COMMENT ON COLUMN trace_writers.counted_at IS
    'When its drops were last stored: the next window of trace_drops begins here.';

-- A span's created_at and its batch's committed_at are both now() of one transaction: this finds
-- the writer of a span, without a column that each row of trace_spans would pay for.
CREATE INDEX trace_batches_committed_at_idx ON trace_batches (committed_at);

COMMENT ON INDEX trace_batches_committed_at_idx IS
    'The writer of a span: its batch has the span''s created_at as committed_at.';
