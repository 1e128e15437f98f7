ALTER TABLE trace_batches DROP COLUMN is_summed;
DROP TABLE trace_folded_days;
DROP TABLE trace_maintenance;
DROP TABLE trace_execution_summaries CASCADE;
DROP TABLE trace_rollups;
