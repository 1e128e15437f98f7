ALTER TABLE trace_writers DROP COLUMN spans_sampled_out;
