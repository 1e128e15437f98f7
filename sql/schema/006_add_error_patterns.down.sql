DROP TABLE trace_error_patterns;
