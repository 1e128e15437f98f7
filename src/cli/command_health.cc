// spanring health, spanring retain
#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/units.h"

namespace spanring::cli {
namespace {

constexpr char kWriters[] =
    "SELECT service, host, pid, spans_started, spans_persisted, spans_dropped, drops, "
    "spans_sampled_out, date_trunc('second', now() - last_seen_at) AS last_seen_ago, "
    "CASE WHEN stopped_at IS NOT NULL THEN 'stopped' "
    "WHEN recovered_at IS NOT NULL THEN 'killed, recovered' ELSE '' END AS ending "
    "FROM trace_writers ORDER BY last_seen_at DESC LIMIT 10";

bool IsInteger(const std::string& text) {
  return !text.empty() && text.size() < 19 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Whatever columns the view has, in its order: new ones appear without a change here.
void PrintColumns(const Context& context, const pg::Result& result) {
  const int columns = PQnfields(result.get());
  std::size_t widest = 0;
  for (int i = 0; i < columns; ++i) {
    widest = std::max(widest, DisplayWidth(PQfname(result.get(), i)));
  }
  for (int i = 0; i < columns; ++i) {
    std::string value(pg::Cell(result.get(), 0, i));
    if (IsInteger(value)) value = FormatCount(std::strtoll(value.c_str(), nullptr, 10));
    if (PQgetisnull(result.get(), 0, i) == 1) value = std::string(1, '-');
    std::string name = PQfname(result.get(), i);
    std::replace(name.begin(), name.end(), '_', ' ');
    const bool loss = name == "spans dropped" && value != "0";
    Print(PadRight(Escape(name), widest) + "  " +
          context.style.Paint(Truncate(Escape(value), context.width - widest - 2),
                              loss ? Tone::kBad : Tone::kPlain));
  }
}

void PrintWriters(const Context& context, const pg::Result& result) {
  std::vector<TableRow> rows;
  for (int i = 0; i < PQntuples(result.get()); ++i) {
    const auto count = [&](const char* column) {
      return FormatCount(std::strtoll(Field(result, i, column).c_str(), nullptr, 10));
    };
    const bool loss = Field(result, i, "spans_dropped") != "0";
    const bool sampled = Field(result, i, "spans_sampled_out") != "0";
    rows.push_back(
        {.cells = {Field(result, i, "service"),
                   absl::StrCat(Field(result, i, "host"), ":", Field(result, i, "pid")),
                   count("spans_started"), count("spans_persisted"), count("spans_dropped"),
                   Field(result, i, "last_seen_ago"), Field(result, i, "ending")},
         .tone = loss ? Tone::kWarning : Tone::kPlain,
         .note = absl::StrCat(loss ? "dropped: " + Field(result, i, "drops") : "",
                              loss && sampled ? "; " : "",
                              sampled ? "sampled out: " + count("spans_sampled_out") : "")});
  }
  if (rows.empty()) return;
  Print("");
  Print(DrawTable({{.title = "writer", .flexible = true},
                   {.title = "process", .flexible = true},
                   {.title = "started", .right_aligned = true},
                   {.title = "persisted", .right_aligned = true},
                   {.title = "dropped", .right_aligned = true},
                   {.title = "last seen", .right_aligned = true},
                   {.title = ""}},
                  rows, context.width, context.style));
}

}  // namespace

absl::StatusOr<int> Health(const Context& context) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  if (context.options.json) {
    return session->PrintJson("SELECT row_to_json(health) FROM trace_spans_health AS health");
  }
  absl::StatusOr<pg::Result> health = session->Query("SELECT * FROM trace_spans_health");
  if (!health.ok()) return health.status();
  absl::StatusOr<pg::Result> writers = session->Query(kWriters);
  if (!writers.ok()) return writers.status();
  PrintColumns(context, *health);
  PrintWriters(context, *writers);
  return kExitOk;
}

absl::StatusOr<int> Retain(const Context& context, int days) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  if (context.options.json) {
    return session->PrintJson(
        "SELECT coalesce(json_agg(row_to_json(gone)), '[]') FROM trace_retain($1::integer) AS gone",
        {std::to_string(days)});
  }
  absl::StatusOr<pg::Result> result =
      session->Query("SELECT * FROM trace_retain($1::integer)", {std::to_string(days)});
  if (!result.ok()) return result.status();
  std::vector<TableRow> rows;
  bool any_kept = false;
  for (int i = 0; i < PQntuples(result->get()); ++i) {
    const bool kept = Field(*result, i, "action") == "kept";
    any_kept = any_kept || kept;
    const bool estimate = Field(*result, i, "is_estimate") == "t";
    const std::int64_t removed =
        std::strtoll(Field(*result, i, "rows_removed").c_str(), nullptr, 10);
    rows.push_back(
        {.cells = {Field(*result, i, "action"), Field(*result, i, "object_name"),
                   absl::StrCat(estimate ? "about " : "", FormatCount(removed))},
         .tone = kept ? Tone::kWarning : Tone::kPlain,
         .note = kept ? "somebody reads it, see pg_stat_activity: call again later" : ""});
  }
  Print(DrawTable({{.title = "action"},
                   {.title = "object", .flexible = true},
                   {.title = "rows", .right_aligned = true}},
                  rows, context.width, context.style));
  return any_kept ? kExitBadAnswer : kExitOk;
}

}  // namespace spanring::cli
