DROP TABLE trace_batches;
DROP TABLE trace_writers;
DROP TABLE trace_spans;
