// spanring waterfall, diagnose, root-cause, critical-path, network, similar, compare
#include "cli/analysis_views.h"
#include "cli/commands.h"
#include "cli/trace_views.h"

namespace spanring::cli {
namespace {

absl::StatusOr<int> Show(const absl::StatusOr<Lines>& lines) {
  if (!lines.ok()) return lines.status();
  Print(*lines);
  return kExitOk;
}

// The rows of `call` as PostgreSQL's own JSON, after the text form found the execution to exist.
absl::StatusOr<int> ShowJson(const Session& session, const absl::StatusOr<Lines>& lines,
                             const std::string& call,
                             const std::vector<pg::Parameter>& parameters) {
  if (!lines.ok()) return lines.status();
  return session.PrintJson(
      "SELECT coalesce(json_agg(row_to_json(answer)), '[]') FROM (" + call + ") AS answer",
      parameters);
}

}  // namespace

absl::StatusOr<int> Waterfall(const Context& context, std::int64_t execution_id) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<Lines> lines = WaterfallLines(context, *session, execution_id);
  if (!context.options.json || !lines.ok()) return Show(lines);
  return session->PrintJson(
      "SELECT json_build_object("
      "'spans', (SELECT coalesce(json_agg(row_to_json(span)), '[]') FROM "
      "(SELECT * FROM trace_tree($1::bigint) ORDER BY row_order) AS span), "
      "'gaps', (SELECT coalesce(json_agg(row_to_json(gap)), '[]') FROM trace_gaps($1::bigint) "
      "AS gap))",
      {std::to_string(execution_id)});
}

absl::StatusOr<int> Diagnose(const Context& context, std::int64_t execution_id) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<Lines> lines = DiagnosisLines(context, *session, execution_id);
  if (!context.options.json) return Show(lines);
  return ShowJson(*session, lines, "SELECT * FROM diagnose_execution_trace($1::bigint)",
                  {std::to_string(execution_id)});
}

absl::StatusOr<int> RootCause(const Context& context, std::int64_t execution_id) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<Lines> lines = RootCauseLines(context, *session, execution_id);
  if (!context.options.json) return Show(lines);
  return ShowJson(*session, lines, "SELECT * FROM identify_root_cause($1::bigint)",
                  {std::to_string(execution_id)});
}

absl::StatusOr<int> CriticalPath(const Context& context, std::int64_t execution_id) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<Lines> lines = CriticalPathLines(context, *session, execution_id);
  if (!context.options.json) return Show(lines);
  return ShowJson(*session, lines, "SELECT * FROM trace_critical_path($1::bigint)",
                  {std::to_string(execution_id)});
}

absl::StatusOr<int> Network(const Context& context, std::int64_t execution_id) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<Lines> lines = NetworkLines(context, *session, execution_id);
  if (!context.options.json || !lines.ok()) return Show(lines);
  return session->PrintJson(
      "SELECT json_build_object("
      "'calls', (SELECT coalesce(json_agg(row_to_json(call)), '[]') FROM "
      "trace_network_times($1::bigint) AS call), "
      "'spans', (SELECT coalesce(json_agg(row_to_json(span)), '[]') FROM "
      "trace_clock_skew($1::bigint) AS span))",
      {std::to_string(execution_id)});
}

absl::StatusOr<int> RootCauseOfWindow(const Context& context,
                                      const std::vector<std::string>& window,
                                      const std::vector<std::string>& baseline) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const std::vector<pg::Parameter> times = {window.at(0), window.at(1), baseline.at(0),
                                            baseline.at(1)};
  const absl::StatusOr<Lines> lines = WindowLines(context, *session, times);
  if (!context.options.json) return Show(lines);
  return ShowJson(*session, lines, kWindow, times);
}

absl::StatusOr<int> Compare(const Context& context, std::int64_t execution_a,
                            std::int64_t execution_b) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<Lines> lines = ComparisonLines(context, *session, execution_a, execution_b);
  if (!context.options.json) return Show(lines);
  return ShowJson(*session, lines, kCompare,
                  {std::to_string(execution_a), std::to_string(execution_b)});
}

absl::StatusOr<int> Similar(const Context& context, std::int64_t execution_id, int limit) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<Lines> lines = SimilarLines(context, *session, execution_id, limit);
  if (!context.options.json) return Show(lines);
  return ShowJson(*session, lines, "SELECT * FROM find_similar_traces($1::bigint, $2::integer)",
                  {std::to_string(execution_id), std::to_string(limit)});
}

}  // namespace spanring::cli
