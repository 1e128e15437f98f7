// spanring recover
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/render/table.h"
#include "cli/render/units.h"
#include "recovery/recover.h"

namespace spanring::cli {
namespace {

using recovery::Recovered;

std::string ResultOf(const Recovered& one, bool list) {
  if (absl::IsAborted(one.status)) return "alive";
  if (!one.status.ok()) return std::string(one.status.message());
  if (list) return "left behind";
  if (one.rejected > 0) return absl::StrCat(one.rejected, " rows refused");
  if (one.damaged > 0) return absl::StrCat(one.damaged, " rows damaged");
  return "recovered";
}

void PrintTable(const Context& context, const std::vector<Recovered>& all, bool list) {
  if (all.empty()) {
    Print(list ? "No process has left anything behind, and none is tracing."
               : "Nothing was left behind for this database.");
    return;
  }
  std::vector<TableRow> rows;
  for (const Recovered& one : all) {
    const bool alive = absl::IsAborted(one.status);
    const auto count = [&](std::uint64_t n) {
      return alive ? "" : FormatCount(static_cast<std::int64_t>(n));
    };
    rows.push_back({.cells = {absl::StrCat(one.owner.service, " (", one.owner.pid, ")"),
                              one.owner.target, count(one.from_journal), count(one.from_rings),
                              count(one.were_open), ResultOf(one, list)},
                    .tone = one.status.ok() || alive ? Tone::kPlain : Tone::kBad,
                    .note = ""});
  }
  Print(DrawTable({{.title = "process", .flexible = true},
                   {.title = "database", .flexible = true},
                   {.title = "in journal", .right_aligned = true},
                   {.title = "in rings", .right_aligned = true},
                   {.title = "open", .right_aligned = true},
                   {.title = "", .flexible = true}},
                  rows, context.width, context.style));
}

void PrintJson(const std::vector<Recovered>& all, bool list) {
  nlohmann::json answer = nlohmann::json::array();
  for (const Recovered& one : all) {
    answer.push_back({{"writer_id", one.writer.ToUuid()},
                      {"service", one.owner.service},
                      {"pid", one.owner.pid},
                      {"database", one.owner.target},
                      {"from_journal", one.from_journal},
                      {"from_rings", one.from_rings},
                      {"were_open", one.were_open},
                      {"already_there", one.already_there},
                      {"rejected", one.rejected},
                      {"damaged", one.damaged},
                      {"result", ResultOf(one, list)}});
  }
  Print(answer.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

absl::StatusOr<int> Recover(const Context& context, bool list, bool all_databases) {
  Options options = Options::FromEnvironment();
  if (!list) {
    const absl::StatusOr<Target> target = Resolve(context);
    if (!target.ok()) return target.status();
    // Says at once, and with advice, what is wrong with the database.
    const absl::StatusOr<Session> session = Session::Open(context);
    if (!session.ok()) return session.status();
    options.database_url = target->conninfo;
  }
  recovery::Recovery recovery(options, all_databases);
  const std::vector<Recovered> all = list ? recovery.List() : recovery.Run();
  if (context.options.json) {
    PrintJson(all, list);
  } else {
    PrintTable(context, all, list);
  }
  for (const Recovered& one : all) {
    if (!one.status.ok() && !absl::IsAborted(one.status)) return kExitBadAnswer;
  }
  if (!list && !all_databases) {
    const std::vector<Recovered> left = recovery.List();
    const auto others = std::count_if(left.begin(), left.end(), [](const Recovered& one) {
      return one.status.ok() && one.from_journal + one.from_rings + one.were_open > 0;
    });
    if (others > 0) {
      PrintNote(absl::StrCat(others, others == 1 ? " process" : " processes",
                             " left spans for other databases: `recover --list` shows them, "
                             "`recover --all` delivers them to this one"));
    }
  }
  return kExitOk;
}

}  // namespace spanring::cli
