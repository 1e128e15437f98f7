// What /api/v1 answers; see docs/web.md and the comments on the SQL objects.

// Whole numbers beyond 2^53 arrive as text: see parseAnswer.
export type Id = number | string;

export type Status = "started" | "completed" | "failed" | "timeout";

export interface Execution {
  execution_id: Id;
  status: Status;
  started_at: string;
  ended_at: string | null;
  duration_ms: number | null;
  spans: number;
  failed_spans: number;
  timeout_spans: number;
  job_id: string | null;
  model_id: string | null;
  region: string | null;
  root_service: string | null;
  root_operation: string | null;
  trace_id: string;
  services: string[];
  // In lists that were asked for causes; null where it completed, or is too long for a list.
  cause?: ListedCause | null;
}

export interface ListedCause {
  root_cause_type: string;
  affected_service: string | null;
  affected_operation: string | null;
  confidence: number;
}

export interface ExecutionPage {
  executions: Execution[];
  has_more: boolean;
}

// As the API sends it: what all spans have in common stands in Trace.common, what is null not at all.
export interface SentSpan {
  row_order: number;
  depth: number;
  parent_row?: number;
  last_row: number;
  trace_id?: string;
  span_id: string;
  parent_span_id?: string;
  is_orphan?: true;
  service: string;
  operation: string;
  status: Status;
  job_id?: string;
  execution_id?: Id;
  model_id?: string;
  region?: string;
  started_at: string;
  completed_at?: string;
  offset_ns: number;
  duration_ns?: number;
  self_time_ns?: number;
  shift_ns?: number;
  shift_reason?: string;
  error_type?: string;
  error_message?: string;
  metadata?: unknown;
}

export interface Span {
  row_order: number;
  depth: number;
  parent_row: number | null;
  last_row: number;
  trace_id: string;
  span_id: string;
  parent_span_id: string | null;
  is_orphan: boolean;
  service: string;
  operation: string;
  status: Status;
  job_id: string | null;
  execution_id: Id | null;
  model_id: string | null;
  region: string | null;
  started_at: string;
  completed_at: string | null;
  offset_ns: number;
  duration_ns: number | null;
  self_time_ns: number | null;
  shift_ns: number;
  shift_reason: string | null;
  error_type: string | null;
  error_message: string | null;
  metadata: unknown;
}

export interface Gap {
  kind: "lead" | "between" | "tail" | "overflow";
  from_row: number;
  to_row: number;
  parent_row: number | null;
  offset_ns: number;
  gap_ns: number;
}

export interface PathSegment {
  row_order: number;
  offset_ns: number;
  length_ns: number;
}

export interface CriticalPath {
  root_row: number;
  is_main_root: boolean;
  segments: PathSegment[];
}

export interface Cover {
  gaps: Gap[];
  critical_paths: CriticalPath[];
}

export interface SentTrace extends Cover {
  execution_id: Id | null;
  trace_ids: string[];
  common: { trace_id?: string; job_id?: string; execution_id?: Id; model_id?: string; region?: string };
  spans: SentSpan[];
  adjusted: Cover | null; // where each span is moved by its shift_ns; null where none is
  spans_dropped: number | null;
  drop_reasons: string | null;
}

export interface Trace extends Omit<SentTrace, "common" | "spans"> {
  spans: Span[];
}

export interface NetworkCall {
  client_row: number;
  server_row: number;
  client_span_id: string;
  server_span_id: string;
  client_service: string;
  client_operation: string;
  server_service: string;
  server_operation: string;
  client_ns: number | null;
  server_ns: number | null;
  network_ns: number | null;
  request_ns: number | null;
  response_ns: number | null;
  adjusted_request_ns: number | null;
  adjusted_response_ns: number | null;
  note: string | null;
}

export interface DiagnosedSpan {
  span_id: string;
  is_anomaly: boolean;
  anomaly_reason: string | null;
  baseline_ms: number | null;
  baseline_samples: number | null;
  baseline_note: string | null;
  is_outlier: boolean;
  outlier_reason: string | null;
  outlier_confidence: number | null;
  median_ms: number | null;
  p95_ms: number | null;
}

export interface Diagnosis {
  operations: DiagnosedSpan[];
  anomalies: number;
}

export interface Cause {
  root_cause_type: string;
  affected_service: string | null;
  affected_operation: string | null;
  evidence: string;
  recommendation: string | null;
  confidence: number;
  rank: number;
  span_ids: string[] | null;
}

export interface SimilarExecution {
  similar_execution_id: Id;
  similarity_score: number;
  status: Status;
  total_duration_ms: number | null;
  failure_point: string | null;
  started_at: string;
}

export interface ComparedSpan {
  presence: "both" | "a" | "b";
  depth: number;
  service: string;
  operation: string;
  occurrence: number;
  duration_a_ms: number | null;
  duration_b_ms: number | null;
  difference_ms: number | null;
  ratio: number | null;
  status_a: Status | null;
  status_b: Status | null;
  error_a: string | null;
  error_b: string | null;
  span_id_a: string | null;
  span_id_b: string | null;
  row_order: number;
}

export interface ComparedOperation {
  service: string;
  operation: string;
  spans_a: number;
  spans_b: number;
  self_time_a_ms: number | null;
  self_time_b_ms: number | null;
  difference_ms: number | null;
  failures_a: number;
  failures_b: number;
}

export interface Comparison {
  a: Execution | null;
  b: Execution | null;
  spans: ComparedSpan[];
  operations: ComparedOperation[];
}

// starts_at is null in the row for the whole time.
export interface OperationTime {
  service: string;
  operation: string;
  starts_at: string | null;
  hours: number;
  spans: number;
  failed: number;
  timeouts: number;
  average_ms: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  max_ms: number | null;
}

export interface Operations {
  from: string;
  to: string;
  operations: OperationTime[];
}

export interface Health {
  total_spans: number;
  spans_last_24h: number;
  spans_last_hour: number;
  table_size: string;
  total_size_with_indexes: string;
  unique_traces: number;
  avg_duration_ms: number | null;
  failed_spans: number;
  timeout_spans: number;
  spans_dropped: number;
  drops_by_reason: Record<string, number>;
  writers_active: number;
  writers_seen: number;
  last_span_at: string | null;
  open_spans: number;
  total_bytes: number;
  spans_sampled_out: number;
}

export interface Writer {
  writer_id: string;
  service: string;
  host: string | null;
  pid: number | null;
  version: string | null;
  started_at: string;
  last_seen_at: string;
  stopped_at: string | null;
  recovered_at: string | null;
  spans_started: number;
  spans_persisted: number;
  spans_dropped: number;
  drops: Record<string, number>;
}

export interface Partition {
  partition_name: string;
  starts_at: string | null;
  ends_at: string | null;
  is_default: boolean;
  estimated_rows: number;
  total_bytes: number;
}

export interface HealthAnswer {
  health: Health;
  writers: Writer[];
  partitions: Partition[];
}
