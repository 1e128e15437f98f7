ALTER TABLE trace_spans DROP CONSTRAINT trace_spans_status_check;
ALTER TABLE trace_spans ADD CONSTRAINT trace_spans_status_check
    CHECK (status IN ('started', 'completed', 'failed', 'timeout'));
