-- Of traces that are not sampled most spans are in trace_rollups only: how many.
ALTER TABLE trace_writers ADD COLUMN spans_sampled_out bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN trace_writers.spans_sampled_out IS
    'Spans so far that are in trace_rollups and not in trace_spans, since their trace is not sampled.';
