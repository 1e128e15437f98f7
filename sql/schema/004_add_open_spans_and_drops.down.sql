DROP INDEX trace_batches_committed_at_idx;
ALTER TABLE trace_writers DROP COLUMN counted_at, DROP COLUMN recovered_at;
DROP TABLE trace_drops;
DROP TABLE trace_open_spans;
