#include "sql/executions.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace spanring::test {
namespace {

std::string SpanId(int id) { return absl::StrFormat("00000000-0000-0000-0000-%012x", id); }

pg::Parameter OrNull(const std::string& text) {
  return text.empty() ? pg::Parameter() : pg::Parameter(text);
}

}  // namespace

std::unique_ptr<TestDatabase> ExecutionTest::database_;
std::string ExecutionTest::second_zero_;

void ExecutionTest::SetUp() {
  Database().Run(
      "TRUNCATE trace_spans, trace_writers, trace_batches, trace_open_spans, trace_drops,"
      " trace_rollups, trace_execution_summaries, trace_folded_days");
  second_zero_ = Database().Value("SELECT date_trunc('second', now() - interval '1 hour')");
}

void ExecutionTest::Fold() {
  (void)Database().Rows(
      "SELECT trace_fold_day(day) FROM (SELECT DISTINCT (started_at AT TIME ZONE 'UTC')::date"
      " FROM trace_spans WHERE isfinite(started_at)) AS days (day)");
}

std::string ExecutionTest::Matched(const std::string& applies_to, const std::string& error) {
  return Database().Value("SELECT (SELECT root_cause_type FROM trace_match_error($1, $2))",
                          {applies_to, error});
}

void ExecutionTest::Write(std::int64_t execution_id, const std::vector<Span>& spans) {
  for (const Span& span : spans) {
    (void)Database().Rows(
        "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation,"
        " started_at, completed_at, status, error_type, error_message, execution_id, metadata)"
        " VALUES ($1, $2, $3, $4, $5, $13::timestamptz + make_interval(secs => $6),"
        " $13::timestamptz + make_interval(secs => $7), $8, $9, $10, $11,"
        " nullif(jsonb_strip_nulls(jsonb_build_object('span.kind', nullif($12::text, '')))"
        " || $14::jsonb, '{}'))",
        {absl::StrFormat("00000000-0000-0000-0000-%012d", execution_id), SpanId(span.id),
         span.parent == 0 ? pg::Parameter() : SpanId(span.parent), span.service, span.operation,
         absl::StrFormat("%.6f", span.start_s),
         span.end_s ? pg::Parameter(absl::StrFormat("%.6f", *span.end_s)) : pg::Parameter(),
         span.end_s ? span.status : "started", OrNull(span.error_type), OrNull(span.error_message),
         span.without_execution ? pg::Parameter() : std::to_string(execution_id), span.kind,
         second_zero_, span.attributes});
  }
}

void ExecutionTest::WriteOpen(std::int64_t execution_id, const Span& span,
                              const std::string& writer_id) {
  (void)Database().Rows(
      "INSERT INTO trace_open_spans (started_at, execution_id, trace_id, span_id, parent_span_id,"
      " writer_id, service, operation) VALUES"
      " ($9::timestamptz + make_interval(secs => $1), $2, $3, $4, $5, $6, $7, $8)",
      {absl::StrFormat("%.6f", span.start_s),
       span.without_execution ? pg::Parameter() : std::to_string(execution_id),
       absl::StrFormat("00000000-0000-0000-0000-%012d", execution_id), SpanId(span.id),
       span.parent == 0 ? pg::Parameter() : SpanId(span.parent), writer_id, span.service,
       span.operation, second_zero_});
}

void ExecutionTest::WriteHistory(std::int64_t first_execution_id, int count,
                                 const std::string& service, const std::string& operation,
                                 double duration_s) {
  for (int i = 0; i < count; ++i) {
    Write(first_execution_id + i, {{.id = 1,
                                    .service = service,
                                    .operation = operation,
                                    .start_s = static_cast<double>(i),
                                    .end_s = i + duration_s}});
  }
}

std::vector<Cause> ExecutionTest::Causes(std::int64_t execution_id) {
  Fold();
  std::vector<Cause> causes;
  for (const auto& row :
       Database().Rows("SELECT root_cause_type, affected_service, affected_operation, evidence,"
                       " recommendation FROM identify_root_cause($1)",
                       {std::to_string(execution_id)})) {
    causes.push_back({row[0], row[1], row[2], row[3], row[4]});
  }
  return causes;
}

std::string ExecutionTest::RootCause(std::int64_t execution_id) {
  const std::vector<Cause> causes = Causes(execution_id);
  return causes.empty() ? "none" : causes.front().type;
}

std::vector<std::string> ExecutionTest::Anomalies(std::int64_t execution_id) {
  Fold();
  std::vector<std::string> anomalies;
  for (const auto& row :
       Database().Rows("SELECT operation, anomaly_reason FROM diagnose_execution_trace($1)"
                       " WHERE is_anomaly",
                       {std::to_string(execution_id)})) {
    anomalies.push_back(absl::StrCat(row[0], ": ", row[1]));
  }
  return anomalies;
}

std::vector<Span> Execution2193(const std::string& runner_status) {
  const std::string error = runner_status == "timeout" ? "deadline of 238 s exceeded" : "";
  return {
      {1, 0, "runner", "execute_question", 0, 238.9, runner_status, "", error},
      {2, 1, "runner", "hybrid_router_call", 0, 238.9, runner_status, "", error},
      {3, 2, "router", "inference_request", 0.1, 82.6},
      {4, 3, "router", "modal_call", 0.2, 82.5},
      {5, 4, "modal", "inference", 4.2, 81.5},
  };
}

}  // namespace spanring::test
