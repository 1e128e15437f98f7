#include "cli/trace_views.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "absl/strings/str_cat.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/units.h"
#include "cli/render/waterfall.h"

namespace spanring::cli {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

std::int64_t Integer(const pg::Result& result, int row, const char* column) {
  return std::strtoll(Field(result, row, column).c_str(), nullptr, 10);
}

// A column in milliseconds, whole or with a fraction, as people read it; "" when NULL.
std::string Milliseconds(const pg::Result& result, int row, const char* column) {
  if (IsNull(result, row, column)) return "";
  const double ms = std::strtod(Field(result, row, column).c_str(), nullptr);
  return FormatDuration(static_cast<std::int64_t>(ms * static_cast<double>(kMillisecond)));
}

// Only what an eye should be drawn to; trace_gaps() itself has them all.
constexpr char kDrawnGaps[] =
    "SELECT gaps.*, gaps.gap_ns AS duration_ns, from_service || ' → ' || to_service AS label FROM "
    "trace_gaps($1::bigint) AS gaps CROSS JOIN (SELECT gap_ns AS least_ns FROM trace_limits) AS "
    "limits WHERE kind <> 'overflow' AND between_services AND gaps.gap_ns > least_ns";

std::string Baseline(const pg::Result& result, int row) {
  return Milliseconds(result, row, "baseline_ms");
}

// Most spans have none: an empty cell lets the eye find the others.
std::string GapAfter(const pg::Result& result, int row) {
  return Integer(result, row, "gap_after_ms") == 0 ? "" : Milliseconds(result, row, "gap_after_ms");
}

// "modal.inference", or both ends of a gap: "router -> runner (... -> ...)".
std::string Where(const pg::Result& result, int row) {
  const std::string service = Field(result, row, "affected_service");
  const std::string operation = Field(result, row, "affected_operation");
  if (service.find(" -> ") != std::string::npos) return absl::StrCat(service, " (", operation, ")");
  return Label(service, operation);
}

std::string Confidence(const pg::Result& result, int row) {
  return Field(result, row, "confidence");
}

// A NotFound for an execution without spans, before any of its answers is asked for.
absl::Status CheckKnown(const Context& context, const Session& session, std::int64_t execution_id) {
  absl::StatusOr<pg::Result> result =
      session.Query("SELECT 1 FROM trace_waterfall WHERE execution_id = $1::bigint LIMIT 1",
                    {std::to_string(execution_id)});
  if (!result.ok()) return result.status();
  return PQntuples(result->get()) > 0 ? absl::OkStatus() : UnknownExecution(context, execution_id);
}

std::vector<WaterfallSpan> Spans(const pg::Result& result) {
  std::vector<WaterfallSpan> spans;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    WaterfallSpan span;
    span.span_id = Field(result, row, "span_id");
    span.parent_span_id = Field(result, row, "parent_span_id");
    span.service = Field(result, row, "service");
    span.operation = Field(result, row, "operation");
    span.status = Field(result, row, "status");
    span.error_type = Field(result, row, "error_type");
    span.error_message = Field(result, row, "error_message");
    span.metadata = Field(result, row, "metadata");
    span.depth = Integer(result, row, "depth");
    span.offset_ns = Integer(result, row, "offset_ns");
    if (!IsNull(result, row, "duration_ns")) span.duration_ns = Integer(result, row, "duration_ns");
    span.is_orphan = Field(result, row, "is_orphan") == "t";
    spans.push_back(std::move(span));
  }
  return spans;
}

// The columns that name the execution's surroundings, each value once.
std::string Surroundings(const pg::Result& result) {
  std::string text;
  for (const char* column : {"job_id", "model_id", "region"}) {
    std::set<std::string> values;
    for (int row = 0; row < PQntuples(result.get()); ++row) {
      if (!IsNull(result, row, column)) values.insert(Field(result, row, column));
    }
    std::string joined;
    for (const std::string& value : values)
      absl::StrAppend(&joined, joined.empty() ? "" : ", ", value);
    const std::string name = std::string(column).substr(0, std::string_view(column).find('_'));
    if (!joined.empty()) absl::StrAppend(&text, "  ", name, " ", joined);
  }
  return text;
}

void AppendWrapped(const Context& context, const std::string& title, const std::string& text,
                   Lines* lines) {
  if (text.empty()) return;
  const std::size_t indent = 16;
  bool first = true;
  for (const std::string& line : Wrap(Escape(text), context.width - indent)) {
    lines->push_back(PadRight(first ? title : "", indent) + line);
    first = false;
  }
}

// The rows of a root cause: the answer in full, the other candidates in a line each.
Lines CauseLines(const Context& context, const pg::Result& result) {
  Lines lines = {context.style.Paint(Escape(Field(result, 0, "root_cause_type")), Tone::kBad)};
  if (!IsNull(result, 0, "affected_service")) {
    AppendWrapped(context, "where", Where(result, 0), &lines);
  }
  AppendWrapped(context, "confidence", Confidence(result, 0), &lines);
  AppendWrapped(context, "evidence", Field(result, 0, "evidence"), &lines);
  AppendWrapped(context, "recommendation", Field(result, 0, "recommendation"), &lines);
  for (int row = 1; row < PQntuples(result.get()); ++row) {
    if (row == 1) lines.push_back("other candidates");
    const std::string candidate =
        absl::StrCat(Field(result, row, "root_cause_type"),
                     IsNull(result, row, "affected_service") ? "" : " in " + Where(result, row),
                     ", ", Confidence(result, row), ": ", Field(result, row, "evidence"));
    AppendWrapped(context, "", candidate, &lines);
  }
  return lines;
}

}  // namespace

absl::Status UnknownExecution(const Context& context, std::int64_t execution_id) {
  return absl::NotFoundError(absl::StrCat("execution ", execution_id,
                                          " has no spans here: check the number and the "
                                          "database, or see why none arrive: ",
                                          context.Copyable("doctor")));
}

absl::StatusOr<Lines> WaterfallLines(const Context& context, const Session& session,
                                     std::int64_t execution_id) {
  const std::vector<pg::Parameter> id = {std::to_string(execution_id)};
  absl::StatusOr<pg::Result> tree =
      session.Query("SELECT * FROM trace_tree($1::bigint) ORDER BY row_order", id);
  if (!tree.ok()) return tree.status();
  if (PQntuples(tree->get()) == 0) return UnknownExecution(context, execution_id);
  absl::StatusOr<pg::Result> found = session.Query(kDrawnGaps, id);
  if (!found.ok()) return found.status();
  std::vector<WaterfallGap> gaps;
  for (int row = 0; row < PQntuples(found->get()); ++row) {
    gaps.push_back({.parent_span_id = Field(*found, row, "parent_span_id"),
                    .label = Field(*found, row, "label"),
                    .offset_ns = Integer(*found, row, "offset_ns"),
                    .duration_ns = Integer(*found, row, "duration_ns")});
  }
  Lines lines = {context.style.Paint(
      Truncate(Escape(absl::StrCat("execution ", execution_id, "  started ",
                                   Field(*tree, 0, "started_at"), Surroundings(*tree))),
               context.width),
      Tone::kDim)};
  for (std::string& line :
       DrawWaterfall(Spans(*tree), gaps, {.width = context.width, .style = context.style})) {
    lines.push_back(std::move(line));
  }
  return lines;
}

absl::StatusOr<Lines> DiagnosisLines(const Context& context, const Session& session,
                                     std::int64_t execution_id) {
  if (absl::Status known = CheckKnown(context, session, execution_id); !known.ok()) return known;
  absl::StatusOr<pg::Result> result = session.Query(
      "SELECT * FROM diagnose_execution_trace($1::bigint)", {std::to_string(execution_id)});
  if (!result.ok()) return result.status();
  std::vector<TableRow> rows;
  int anomalous = 0;
  std::string names;
  for (int row = 0; row < PQntuples(result->get()); ++row) {
    const std::string operation =
        Label(Field(*result, row, "service"), Field(*result, row, "operation"));
    const bool anomaly = Field(*result, row, "is_anomaly") == "t";
    if (anomaly && ++anomalous <= 3) absl::StrAppend(&names, names.empty() ? "" : ", ", operation);
    rows.push_back(
        {.cells = {anomaly ? "!" : "", operation, Milliseconds(*result, row, "duration_ms"),
                   Baseline(*result, row), GapAfter(*result, row), Field(*result, row, "status")},
         .tone = anomaly ? Tone::kWarning : Tone::kPlain,
         .note = Field(*result, row, "anomaly_reason")});
  }
  Lines lines = {context.style.Paint(
      Truncate(Escape(absl::StrCat(anomalous, " of ", rows.size(), " operations ",
                                   anomalous == 1 ? "is" : "are", " anomalous",
                                   names.empty() ? "" : ": ", names, anomalous > 3 ? ", …" : "")),
               context.width),
      Tone::kBold)};
  for (std::string& line : DrawTable({{.title = ""},
                                      {.title = "operation", .flexible = true},
                                      {.title = "duration", .right_aligned = true},
                                      {.title = "baseline", .right_aligned = true},
                                      {.title = "gap after", .right_aligned = true},
                                      {.title = "status"}},
                                     rows, context.width, context.style)) {
    lines.push_back(std::move(line));
  }
  return lines;
}

absl::StatusOr<Lines> RootCauseLines(const Context& context, const Session& session,
                                     std::int64_t execution_id) {
  if (absl::Status known = CheckKnown(context, session, execution_id); !known.ok()) return known;
  absl::StatusOr<pg::Result> result = session.Query("SELECT * FROM identify_root_cause($1::bigint)",
                                                    {std::to_string(execution_id)});
  if (!result.ok()) return result.status();
  if (PQntuples(result->get()) == 0) return Lines{"no root cause: nothing failed in it"};
  return CauseLines(context, *result);
}

absl::StatusOr<Lines> WindowLines(const Context& context, const Session& session,
                                  const std::vector<pg::Parameter>& window) {
  absl::StatusOr<pg::Result> result = session.Query(kWindow, window);
  if (!result.ok()) return result.status();
  return CauseLines(context, *result);
}

absl::StatusOr<Lines> ComparisonLines(const Context& context, const Session& session,
                                      std::int64_t execution_a, std::int64_t execution_b) {
  for (const std::int64_t id : {execution_a, execution_b}) {
    if (absl::Status known = CheckKnown(context, session, id); !known.ok()) return known;
  }
  absl::StatusOr<pg::Result> result =
      session.Query(kCompare, {std::to_string(execution_a), std::to_string(execution_b)});
  if (!result.ok()) return result.status();
  std::vector<TableRow> rows;
  int common = 0;
  for (int row = 0; row < PQntuples(result->get()); ++row) {
    const std::string presence = Field(*result, row, "presence");
    const std::string status_a = Field(*result, row, "status_a");
    const std::string status_b = Field(*result, row, "status_b");
    const bool both = presence == "both";
    if (both) ++common;
    const std::string indent(2 * std::min<std::size_t>(Integer(*result, row, "depth"), 20), ' ');
    rows.push_back(
        {.cells = {indent + Label(Field(*result, row, "service"), Field(*result, row, "operation")),
                   Milliseconds(*result, row, "duration_a_ms"),
                   Milliseconds(*result, row, "duration_b_ms"),
                   Milliseconds(*result, row, "difference_ms"), Field(*result, row, "ratio"),
                   both ? status_a == status_b ? status_a : status_a + " → " + status_b
                        : "only in " + std::to_string(presence == "a" ? execution_a : execution_b)},
         .tone = both && status_a == status_b ? Tone::kPlain : Tone::kWarning,
         .note = ""});
  }
  Lines lines = {absl::StrCat(common, " of ", rows.size(), " spans are in both")};
  for (std::string& line : DrawTable({{.title = "operation", .flexible = true},
                                      {.title = std::to_string(execution_a), .right_aligned = true},
                                      {.title = std::to_string(execution_b), .right_aligned = true},
                                      {.title = "difference", .right_aligned = true},
                                      {.title = "ratio", .right_aligned = true},
                                      {.title = "status"}},
                                     rows, context.width, context.style)) {
    lines.push_back(std::move(line));
  }
  return lines;
}

absl::StatusOr<Lines> SimilarLines(const Context& context, const Session& session,
                                   std::int64_t execution_id, int limit) {
  if (absl::Status known = CheckKnown(context, session, execution_id); !known.ok()) return known;
  absl::StatusOr<pg::Result> result =
      session.Query("SELECT * FROM find_similar_traces($1::bigint, $2::integer)",
                    {std::to_string(execution_id), std::to_string(limit)});
  if (!result.ok()) return result.status();
  if (PQntuples(result->get()) == 0) return Lines{"no similar execution"};
  std::vector<TableRow> rows;
  for (int row = 0; row < PQntuples(result->get()); ++row) {
    const std::string status = Field(*result, row, "status");
    rows.push_back({.cells = {Field(*result, row, "similar_execution_id"),
                              Field(*result, row, "similarity_score"),
                              Milliseconds(*result, row, "total_duration_ms"), status,
                              Field(*result, row, "failure_point")},
                    .tone = status == "completed" ? Tone::kPlain : Tone::kWarning,
                    .note = ""});
  }
  return DrawTable({{.title = "execution", .right_aligned = true},
                    {.title = "similarity", .right_aligned = true},
                    {.title = "duration", .right_aligned = true},
                    {.title = "status"},
                    {.title = "failure point", .flexible = true}},
                   rows, context.width, context.style);
}

}  // namespace spanring::cli
