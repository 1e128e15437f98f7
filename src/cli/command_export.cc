// spanring export
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "answers/ids.h"
#include "cli/commands.h"
#include "cli/render/html_report.h"
#include "cli/render/text.h"
#include "cli/render/units.h"
#include "cli/trace_views.h"

namespace spanring::cli {
namespace {

// $1 an execution id or NULL, $2 then a trace id: for all formats, so that they agree on what
// belongs.
constexpr char kTraces[] =
    "SELECT array_agg(DISTINCT trace_id), count(*) FROM trace_tree($1::bigint, $2::uuid)";

constexpr char kGaps[] =
    "SELECT parent_row, offset_ns, gap_ns, from_service || ' → ' || to_service AS label "
    "FROM trace_gaps($1::bigint, $2::uuid) AS gaps "
    "CROSS JOIN (SELECT gap_ns AS least_ns FROM trace_limits) AS limits "
    "WHERE kind <> 'overflow' AND gap_ns > least_ns ORDER BY offset_ns";

struct Asked {
  std::vector<pg::Parameter> ids;  // As kTraces takes them.
  std::string title;
};

std::int64_t Number(const pg::Result& result, int row, const char* column) {
  return std::strtoll(Field(result, row, column).c_str(), nullptr, 10);
}

std::string CsvCell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  return absl::StrCat("\"", absl::StrReplaceAll(std::string(text), {{"\"", "\"\""}}), "\"");
}

std::string Csv(const pg::Result& result) {
  const int columns = PQnfields(result.get());
  std::string text;
  const auto end = [&](int column) { return column + 1 < columns ? "," : "\n"; };
  for (int i = 0; i < columns; ++i) {
    absl::StrAppend(&text, CsvCell(PQfname(result.get(), i)), end(i));
  }
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    for (int i = 0; i < columns; ++i) {
      absl::StrAppend(&text, CsvCell(pg::Cell(result.get(), row, i)), end(i));
    }
  }
  return text;
}

std::string Milliseconds(const pg::Result& result, int row, const char* column) {
  if (IsNull(result, row, column)) return "";
  return FormatDuration(
      static_cast<std::int64_t>(std::strtod(Field(result, row, column).c_str(), nullptr) * 1e6));
}

absl::Status AddDiagnosis(const Session& session, const std::string& id, HtmlReport* report,
                          std::string* suspects) {
  const absl::StatusOr<pg::Result> causes =
      session.Query("SELECT * FROM identify_root_cause($1::bigint)", {id});
  if (!causes.ok()) return causes.status();
  for (int row = 0; row < PQntuples(causes->get()); ++row) {
    const std::string service = Field(*causes, row, "affected_service");
    const std::string operation = Field(*causes, row, "affected_operation");
    const bool is_between = service.find(" -> ") != std::string::npos;
    report->causes.push_back({.type = Field(*causes, row, "root_cause_type"),
                              .where = is_between ? absl::StrCat(service, " (", operation, ")")
                                       : service.empty() ? operation
                                                         : Label(service, operation),
                              .confidence = Field(*causes, row, "confidence"),
                              .evidence = Field(*causes, row, "evidence"),
                              .recommendation = Field(*causes, row, "recommendation")});
  }
  if (!report->causes.empty()) *suspects = Field(*causes, 0, "span_ids");
  const absl::StatusOr<pg::Result> rows =
      session.Query("SELECT * FROM diagnose_execution_trace($1::bigint)", {id});
  if (!rows.ok()) return rows.status();
  report->is_diagnosed = true;
  report->operations = static_cast<std::size_t>(PQntuples(rows->get()));
  for (int row = 0; row < PQntuples(rows->get()); ++row) {
    if (Field(*rows, row, "is_anomaly") != "t") continue;
    report->anomalies.push_back(
        {.operation = Label(Field(*rows, row, "service"), Field(*rows, row, "operation")),
         .duration = Milliseconds(*rows, row, "duration_ms"),
         .baseline = Milliseconds(*rows, row, "baseline_ms"),
         .status = Field(*rows, row, "status"),
         .reason = Field(*rows, row, "anomaly_reason")});
  }
  return absl::OkStatus();
}

HtmlSpan SpanOf(const pg::Result& tree, int row, const std::string& suspects) {
  HtmlSpan span{.service = Field(tree, row, "service"),
                .operation = Field(tree, row, "operation"),
                .status = Field(tree, row, "status"),
                .row = Number(tree, row, "row_order"),
                .last_row = Number(tree, row, "last_row"),
                .depth = Number(tree, row, "depth"),
                .offset_ns = Number(tree, row, "offset_ns"),
                .duration_ns = std::nullopt,
                .is_suspect = suspects.find(Field(tree, row, "span_id")) != std::string::npos,
                .facts = {},
                .metadata = Field(tree, row, "metadata")};
  if (!IsNull(tree, row, "duration_ns")) span.duration_ns = Number(tree, row, "duration_ns");
  if (!IsNull(tree, row, "self_time_ns")) {
    span.facts.emplace_back("self time", FormatDuration(Number(tree, row, "self_time_ns")));
  }
  for (const char* column :
       {"started_at", "completed_at", "error_type", "error_message", "execution_id", "job_id",
        "model_id", "region", "trace_id", "span_id", "parent_span_id"}) {
    span.facts.emplace_back(absl::StrReplaceAll(column, {{"_", " "}}), Field(tree, row, column));
  }
  return span;
}

absl::StatusOr<std::string> Html(const Session& session, const Asked& asked) {
  const absl::StatusOr<pg::Result> tree =
      session.Query("SELECT * FROM trace_tree($1::bigint, $2::uuid) ORDER BY row_order", asked.ids);
  if (!tree.ok()) return tree.status();
  HtmlReport report{.title = asked.title,
                    .status = "",
                    .facts = {},
                    .is_diagnosed = false,
                    .causes = {},
                    .anomalies = {},
                    .operations = 0,
                    .spans = {},
                    .gaps = {},
                    .program = absl::StrCat("spanring ", SPANRING_VERSION)};
  std::string suspects;
  if (asked.ids[0]) {
    absl::Status status = AddDiagnosis(session, *asked.ids[0], &report, &suspects);
    if (!status.ok()) return status;
  }
  // The longest root says how it went, as it does for trace_executions.
  std::int64_t longest_ns = -1;
  for (int row = 0; row < PQntuples(tree->get()); ++row) {
    report.spans.push_back(SpanOf(*tree, row, suspects));
    const std::int64_t length_ns = report.spans.back().duration_ns.value_or(INT64_MAX);
    if (Field(*tree, row, "is_root") != "t" || length_ns <= longest_ns) continue;
    longest_ns = length_ns;
    report.status = report.spans.back().status;
  }
  if (PQntuples(tree->get()) > 0) {
    report.facts.emplace_back("started", Field(*tree, 0, "started_at"));
  }
  for (const auto& [name, column] : {std::pair{"job", "job_id"}, std::pair{"model", "model_id"},
                                     std::pair{"region", "region"}}) {
    std::set<std::string> values;
    for (int row = 0; row < PQntuples(tree->get()); ++row) {
      if (!IsNull(*tree, row, column)) values.insert(Field(*tree, row, column));
    }
    for (const std::string& value : values) report.facts.emplace_back(name, value);
  }
  const absl::StatusOr<pg::Result> gaps = session.Query(kGaps, asked.ids);
  if (!gaps.ok()) return gaps.status();
  for (int row = 0; row < PQntuples(gaps->get()); ++row) {
    report.gaps.push_back({.label = Field(*gaps, row, "label"),
                           .parent_row = Number(*gaps, row, "parent_row"),
                           .offset_ns = Number(*gaps, row, "offset_ns"),
                           .duration_ns = Number(*gaps, row, "gap_ns")});
  }
  return DrawHtml(report);
}

absl::StatusOr<std::string> Contents(const Session& session, const std::string& format,
                                     const Asked& asked, const std::string& traces) {
  if (format == "html") return Html(session, asked);
  std::string call = absl::StrCat("SELECT trace_to_", format, "($1::uuid[])");
  if (format == "jaeger") call = "SELECT jsonb_build_object('data', trace_to_jaeger($1::uuid[]))";
  if (format == "csv") call = "SELECT * FROM trace_to_csv($1::uuid[])";
  const absl::StatusOr<pg::Result> result = session.Query(call, {traces});
  if (!result.ok()) return result.status();
  if (format == "csv") return Csv(*result);
  return absl::StrCat(EscapeJson(pg::Cell(result->get(), 0, 0)), "\n");
}

std::string FormatOf(const ExportArguments& arguments) {
  if (!arguments.format.empty()) return arguments.format;
  for (const char* format : {"html", "csv"}) {
    if (std::string_view(arguments.output).ends_with(absl::StrCat(".", format))) return format;
  }
  return "jaeger";
}

// What programs recorded must not steer a terminal; a file and a pipe get every byte.
std::string ForTerminal(std::string_view contents) {
  std::string shown;
  while (!contents.empty()) {
    const std::size_t end = contents.find('\n');
    absl::StrAppend(&shown, Escape(contents.substr(0, end)), end == contents.npos ? "" : "\n");
    contents.remove_prefix(end == contents.npos ? contents.size() : end + 1);
  }
  return shown;
}

absl::Status Write(const std::string& path, const std::string& contents) {
  const auto failed = [&] {
    return absl::UnknownError(absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
  };
  std::FILE* file = std::fopen(path.c_str(), "wbe");
  if (file == nullptr) return failed();
  const bool written = std::fwrite(contents.data(), 1, contents.size(), file) == contents.size();
  if (!written) {
    absl::Status status = failed();
    std::fclose(file);
    return status;
  }
  return std::fclose(file) == 0 ? absl::OkStatus() : failed();
}

void Report(const Context& context, const ExportArguments& arguments, const std::string& format,
            std::int64_t spans, std::size_t bytes) {
  if (context.options.json) {
    const nlohmann::json said = {
        {"file", arguments.output}, {"format", format}, {"spans", spans}, {"bytes", bytes}};
    return Print(said.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  Print(absl::StrCat(Escape(arguments.output), " (", format, "): ", FormatCount(spans),
                     spans == 1 ? " span, " : " spans, ",
                     FormatCount(static_cast<std::int64_t>(bytes)), " bytes"));
}

}  // namespace

absl::StatusOr<int> Export(const Context& context, const ExportArguments& arguments) {
  Asked asked;
  if (arguments.trace.empty()) {
    asked = {.ids = {std::to_string(arguments.execution_id), std::nullopt},
             .title = absl::StrCat("Execution ", arguments.execution_id)};
  } else {
    const absl::StatusOr<std::string> trace = answers::TraceId(arguments.trace);
    if (!trace.ok()) return trace.status();
    asked = {.ids = {std::nullopt, *trace}, .title = absl::StrCat("Trace ", *trace)};
  }
  const absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<pg::Result> traces = session->Query(kTraces, asked.ids);
  if (!traces.ok()) return traces.status();
  const std::int64_t spans =
      std::strtoll(std::string(pg::Cell(traces->get(), 0, 1)).c_str(), nullptr, 10);
  if (spans == 0) {
    if (arguments.trace.empty()) return UnknownExecution(context, arguments.execution_id);
    return absl::NotFoundError(
        absl::StrCat("trace ", *asked.ids[1], " has no spans here: check the id and the database"));
  }
  const std::string format = FormatOf(arguments);
  const absl::StatusOr<std::string> contents =
      Contents(*session, format, asked, std::string(pg::Cell(traces->get(), 0, 0)));
  if (!contents.ok()) return contents.status();
  if (arguments.output.empty() || arguments.output == "-") {
    const std::string shown = isatty(STDOUT_FILENO) == 1 ? ForTerminal(*contents) : *contents;
    const bool whole = std::fwrite(shown.data(), 1, shown.size(), stdout) == shown.size();
    return whole ? kExitOk : kExitBadAnswer;
  }
  if (absl::Status status = Write(arguments.output, *contents); !status.ok()) return status;
  Report(context, arguments, format, spans, contents->size());
  return kExitOk;
}

}  // namespace spanring::cli
