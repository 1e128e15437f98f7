#include "cli/analysis_views.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "cli/render/bars.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/units.h"

namespace spanring::cli {
namespace {

constexpr std::size_t kDurationColumns = 12;
constexpr std::size_t kShareColumns = 8;

// A path may have ten thousand segments: the longest are drawn.
constexpr char kPath[] =
    "WITH path AS MATERIALIZED (SELECT * FROM trace_critical_path($1::bigint)), "
    "main AS (SELECT *, sum(length_ns) OVER () AS root_ns, min(offset_ns) OVER () AS "
    "root_offset_ns,"
    " count(*) OVER () AS segments, row_number() OVER (ORDER BY length_ns DESC, segment) AS rank"
    " FROM path WHERE is_main_root) "
    "SELECT *, coalesce(round(100 * length_ns / nullif(root_ns, 0), 1), 0) || ' %' AS share,"
    " (SELECT count(DISTINCT root_row) FROM path) AS roots, root_ns - sum(length_ns) OVER ()"
    " AS not_drawn_ns, segments - count(*) OVER () AS not_drawn "
    "FROM main WHERE rank <= 50 ORDER BY segment";

constexpr char kPathByOperation[] =
    "SELECT service, operation, count(DISTINCT span_id) AS spans, sum(length_ns) AS critical_ns,"
    " coalesce(round(100 * sum(length_ns) / nullif(sum(sum(length_ns)) OVER (), 0), 1), 0) || ' %'"
    " AS share FROM trace_critical_path($1::bigint) WHERE is_main_root GROUP BY service, operation"
    " ORDER BY critical_ns DESC, service, operation LIMIT 10";

// Of two clocks, not of one against the first service's.
constexpr char kClocks[] =
    "WITH skew AS MATERIALIZED (SELECT * FROM trace_clock_skew($1::bigint)), "
    "calls AS (SELECT above.service AS parent_service, skew.service,"
    " skew.shift_ns - above.shift_ns AS behind_ns FROM skew"
    " JOIN skew AS above ON above.row_order = skew.parent_row"
    " WHERE above.service <> skew.service) "
    "SELECT parent_service, service, count(*) AS calls, count(*) FILTER (WHERE behind_ns <> 0)"
    " AS moved, percentile_disc(0.5) WITHIN GROUP (ORDER BY behind_ns)"
    " FILTER (WHERE behind_ns <> 0) AS behind_ns FROM calls GROUP BY parent_service, service"
    " HAVING count(*) FILTER (WHERE behind_ns <> 0) > 0 ORDER BY parent_service, service";

std::int64_t Integer(const pg::Result& result, int row, const char* column) {
  return std::strtoll(Field(result, row, column).c_str(), nullptr, 10);
}

// "" when NULL.
std::string Duration(const pg::Result& result, int row, const char* column) {
  return IsNull(result, row, column) ? "" : FormatDuration(Integer(result, row, column));
}

std::string LabelOf(const pg::Result& result, int row, const std::string& prefix = "") {
  return Label(Field(result, row, (prefix + "service").c_str()),
               Field(result, row, (prefix + "operation").c_str()));
}

std::string Counted(std::int64_t count, const std::string& what) {
  return absl::StrCat(FormatCount(count), " ", what, count == 1 ? "" : "s");
}

// One line a segment: where in the root's time it lies, how long it is, and its share.
Lines Segments(const Context& context, const pg::Result& result) {
  std::size_t label = 16;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    label = std::max(label, DisplayWidth(Escape(LabelOf(result, row))));
  }
  label = std::min(label, context.width * 2 / 5);
  const std::size_t fixed = label + 1 + 1 + kDurationColumns + kShareColumns;
  Axis axis;
  axis.start_ns = Integer(result, 0, "root_offset_ns");
  axis.end_ns = axis.start_ns + Integer(result, 0, "root_ns");
  axis.columns = context.width >= fixed + 6 ? context.width - fixed : 0;
  // The scale counts from the root's start.
  const Axis scale = {0, axis.end_ns - axis.start_ns, axis.columns};
  Lines lines = {context.style.Paint(std::string(label + 1, ' ') + DrawScale(scale), Tone::kDim)};
  std::map<std::string, std::size_t> colors;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    const std::size_t color =
        colors.emplace(Field(result, row, "service"), colors.size()).first->second;
    const std::int64_t start_ns = Integer(result, row, "offset_ns");
    const Bar bar =
        DrawBar(axis, start_ns, start_ns + Integer(result, row, "length_ns"), BarKind::kSpan);
    lines.push_back(
        context.style.PaintService(PadRight(Escape(LabelOf(result, row)), label), color) + " " +
        std::string(bar.before, ' ') + context.style.PaintService(bar.drawn, color) +
        std::string(bar.after, ' ') + " " +
        PadLeft(Duration(result, row, "length_ns"), kDurationColumns) +
        PadLeft(Field(result, row, "share"), kShareColumns));
  }
  return lines;
}

void Append(Lines more, Lines* lines) {
  for (std::string& line : more) lines->push_back(std::move(line));
}

void AppendWrapped(const Context& context, const std::string& text, Lines* lines) {
  for (const std::string& line : Wrap(Escape(text), context.width)) lines->push_back(line);
}

// "2 of 3 calls from a to b do not fit: the clock of b seems 7.0 s behind that of a".
std::string Clock(const pg::Result& result, int row) {
  const std::string from = Field(result, row, "parent_service");
  const std::string to = Field(result, row, "service");
  const std::int64_t behind_ns = Integer(result, row, "behind_ns");
  return absl::StrCat(Integer(result, row, "moved"), " of ",
                      Counted(Integer(result, row, "calls"), "call"), " from ", from, " to ", to,
                      ": the clock of ", to, " seems ",
                      FormatDuration(behind_ns < 0 ? -behind_ns : behind_ns),
                      behind_ns < 0 ? " ahead of" : " behind", " that of ", from);
}

}  // namespace

absl::StatusOr<Lines> CriticalPathLines(const Context& context, const Session& session,
                                        std::int64_t execution_id) {
  const std::vector<pg::Parameter> id = {std::to_string(execution_id)};
  absl::StatusOr<pg::Result> path = session.Query(kPath, id);
  if (!path.ok()) return path.status();
  if (PQntuples(path->get()) == 0) return UnknownExecution(context, execution_id);
  absl::StatusOr<pg::Result> operations = session.Query(kPathByOperation, id);
  if (!operations.ok()) return operations.status();
  const std::int64_t roots = Integer(*path, 0, "roots");
  const std::int64_t not_drawn = Integer(*path, 0, "not_drawn");
  Lines lines = {
      context.style.Paint(Truncate(absl::StrCat("critical path of execution ", execution_id, ": ",
                                                Duration(*path, 0, "root_ns"), " in ",
                                                Counted(Integer(*path, 0, "segments"), "segment")),
                                   context.width),
                          Tone::kBold)};
  Append(Segments(context, *path), &lines);
  if (not_drawn > 0) {
    AppendWrapped(context,
                  absl::StrCat("not drawn: ", Counted(not_drawn, "shorter segment"), ", ",
                               Duration(*path, 0, "not_drawn_ns"), " in all; --json has them"),
                  &lines);
  }
  if (roots > 1) {
    AppendWrapped(context,
                  absl::StrCat("this is the longest of ", Counted(roots, "root"),
                               "; --json has the paths of all"),
                  &lines);
  }
  lines.emplace_back();
  std::vector<TableRow> rows;
  for (int row = 0; row < PQntuples(operations->get()); ++row) {
    rows.push_back(
        {.cells = {LabelOf(*operations, row), Field(*operations, row, "spans"),
                   Duration(*operations, row, "critical_ns"), Field(*operations, row, "share")},
         .tone = Tone::kPlain,
         .note = ""});
  }
  Append(DrawTable({{.title = "operation", .flexible = true},
                    {.title = "spans", .right_aligned = true},
                    {.title = "critical time", .right_aligned = true},
                    {.title = "share", .right_aligned = true}},
                   rows, context.width, context.style),
         &lines);
  return lines;
}

absl::StatusOr<Lines> NetworkLines(const Context& context, const Session& session,
                                   std::int64_t execution_id) {
  const std::vector<pg::Parameter> id = {std::to_string(execution_id)};
  absl::StatusOr<pg::Result> known =
      session.Query("SELECT 1 FROM trace_waterfall WHERE execution_id = $1::bigint LIMIT 1", id);
  if (!known.ok()) return known.status();
  if (PQntuples(known->get()) == 0) return UnknownExecution(context, execution_id);
  absl::StatusOr<pg::Result> calls =
      session.Query("SELECT * FROM trace_network_times($1::bigint)", id);
  if (!calls.ok()) return calls.status();
  absl::StatusOr<pg::Result> clocks = session.Query(kClocks, id);
  if (!clocks.ok()) return clocks.status();
  std::vector<TableRow> rows;
  int without_kind = 0;
  for (int row = 0; row < PQntuples(calls->get()); ++row) {
    without_kind += Field(*calls, row, "pairing") == "services" ? 1 : 0;
    const bool moved = Integer(*calls, row, "shift_ns") != 0;
    rows.push_back(
        {.cells = {LabelOf(*calls, row, "client_") + " → " + LabelOf(*calls, row, "server_"),
                   Duration(*calls, row, "client_ns"), Duration(*calls, row, "server_ns"),
                   Duration(*calls, row, "network_ns"), Duration(*calls, row, "request_ns"),
                   Duration(*calls, row, "response_ns"),
                   moved ? Duration(*calls, row, "adjusted_request_ns") : "",
                   moved ? Duration(*calls, row, "adjusted_response_ns") : ""},
         .tone = Tone::kPlain,
         .note = Field(*calls, row, "note")});
  }
  Lines lines = {context.style.Paint(
      rows.empty() ? "no calls between services"
                   : Counted(static_cast<std::int64_t>(rows.size()), "call") + " between services",
      Tone::kBold)};
  if (!rows.empty()) {
    Append(DrawTable({{.title = "client → server", .flexible = true},
                      {.title = "client", .right_aligned = true},
                      {.title = "server", .right_aligned = true},
                      {.title = "network", .right_aligned = true},
                      {.title = "request", .right_aligned = true},
                      {.title = "response", .right_aligned = true},
                      {.title = "adjusted", .right_aligned = true},
                      {.title = "", .right_aligned = true}},
                     rows, context.width, context.style),
           &lines);
  }
  if (without_kind > 0) {
    AppendWrapped(context,
                  absl::StrCat("without span.kind: ", Counted(without_kind, "call"),
                               "; the client's own work counts as network there"),
                  &lines);
  }
  for (int row = 0; row < PQntuples(clocks->get()); ++row) {
    AppendWrapped(context, Clock(*clocks, row), &lines);
  }
  return lines;
}

}  // namespace spanring::cli
