// spanring top
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/units.h"
#include "cli/terminal.h"

namespace spanring::cli {
namespace {

constexpr std::chrono::milliseconds kPause{2000};

std::string Question(const std::string& sort) {
  const char* order = sort == "count"      ? "spans"
                      : sort == "p95"      ? "p95_ms"
                      : sort == "failures" ? "failures"
                                           : "total_ms";
  return absl::StrCat(
      "SELECT service, operation, spans, failed + timeouts AS failures, failed, timeouts, "
      "total_ms, "
      "round(100 * total_ms / nullif(sum(total_ms) OVER (), 0), 1) AS total_share, "
      "average_ms, p50_ms, p95_ms, p99_ms, max_ms, hours "
      "FROM trace_operation_latencies($1::timestamptz, greatest(now(), $1::timestamptz + "
      "interval '1 second')) WHERE starts_at IS NULL ORDER BY ",
      order, " DESC NULLS LAST, service, operation");
}

std::string Milliseconds(const pg::Result& result, int row, const char* column) {
  if (IsNull(result, row, column)) return "";
  return FormatDuration(
      static_cast<std::int64_t>(std::strtod(Field(result, row, column).c_str(), nullptr) * 1e6));
}

std::string Count(const pg::Result& result, int row, const char* column) {
  return FormatCount(std::strtoll(Field(result, row, column).c_str(), nullptr, 10));
}

std::vector<std::string> Draw(const Context& context, const TopArguments& arguments,
                              const pg::Result& result) {
  std::vector<TableRow> rows;
  std::int64_t spans = 0;
  std::int64_t failures = 0;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    spans += std::strtoll(Field(result, row, "spans").c_str(), nullptr, 10);
    const std::int64_t failed = std::strtoll(Field(result, row, "failures").c_str(), nullptr, 10);
    failures += failed;
    const std::string share = Field(result, row, "total_share");
    rows.push_back(
        {.cells = {Label(Field(result, row, "service"), Field(result, row, "operation")),
                   Milliseconds(result, row, "total_ms"), share.empty() ? "" : share + " %",
                   Count(result, row, "spans"), failed == 0 ? "" : FormatCount(failed),
                   Milliseconds(result, row, "p50_ms"), Milliseconds(result, row, "p95_ms"),
                   Milliseconds(result, row, "p99_ms")},
         .tone = failed == 0 ? Tone::kPlain : Tone::kWarning,
         .note = ""});
  }
  const bool by_day = !rows.empty() && Field(result, 0, "hours") == "24";
  std::vector<std::string> lines = {context.style.Paint(
      Truncate(Escape(absl::StrCat(rows.size(), rows.size() == 1 ? " operation" : " operations",
                                   ", ", FormatCount(spans), " spans, ", FormatCount(failures),
                                   " failed, since ", arguments.since,
                                   by_day ? " (whole days)" : " (whole hours)", ", by ",
                                   arguments.sort)),
               context.width),
      Tone::kDim)};
  for (std::string& line : DrawTable({{.title = "operation", .flexible = true},
                                      {.title = "total", .right_aligned = true},
                                      {.title = "share", .right_aligned = true},
                                      {.title = "spans", .right_aligned = true},
                                      {.title = "failed", .right_aligned = true},
                                      {.title = "p50", .right_aligned = true},
                                      {.title = "p95", .right_aligned = true},
                                      {.title = "p99", .right_aligned = true}},
                                     rows, context.width, context.style)) {
    lines.push_back(std::move(line));
  }
  return lines;
}

absl::StatusOr<std::vector<std::string>> Ask(const Context& context, const Session& session,
                                             const TopArguments& arguments) {
  const absl::StatusOr<std::string> since = ResolveSince(session, arguments.since);
  if (!since.ok()) return since.status();
  const absl::StatusOr<pg::Result> result = session.Query(Question(arguments.sort), {*since});
  if (!result.ok()) return result.status();
  return Draw(context, arguments, *result);
}

absl::Status Live(const Context& given, Session first, const TopArguments& arguments) {
  Context context = given;
  // What is wrong with the question is said on the usual screen.
  absl::StatusOr<std::vector<std::string>> lines = Ask(context, first, arguments);
  if (!lines.ok()) return lines.status();
  absl::StatusOr<Session> session = std::move(first);
  LiveScreen screen;
  for (;;) {
    context.width = ChooseWidth(context.options.width, STDOUT_FILENO);
    lines = session.ok() ? Ask(context, *session, arguments) : session.status();
    if (lines.ok()) {
      lines->front() += context.style.Paint("  q ends", Tone::kDim);
      screen.Show(*lines);
    } else if (absl::IsUnavailable(lines.status())) {
      screen.Show(Wrap(Escape(std::string(lines.status().message())), context.width));
    } else {
      return lines.status();
    }
    if (!screen.Wait(kPause)) return absl::OkStatus();
    if (!lines.ok()) session = Session::Open(context);
  }
}

}  // namespace

absl::StatusOr<int> Top(const Context& context, const TopArguments& arguments) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  if (context.options.json) {
    const absl::StatusOr<std::string> since = ResolveSince(*session, arguments.since);
    if (!since.ok()) return since.status();
    return session->PrintJson(absl::StrCat("SELECT coalesce(json_agg(row_to_json(answer)), '[]') "
                                           "FROM (",
                                           Question(arguments.sort), ") AS answer"),
                              {*since});
  }
  if (!arguments.once && isatty(STDOUT_FILENO) == 1) {
    if (absl::Status status = Live(context, *std::move(session), arguments); !status.ok()) {
      return status;
    }
    return kExitOk;
  }
  const absl::StatusOr<std::vector<std::string>> lines = Ask(context, *session, arguments);
  if (!lines.ok()) return lines.status();
  Print(*lines);
  return kExitOk;
}

}  // namespace spanring::cli
