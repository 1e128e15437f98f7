// spanring migrate [up | down --to N --drop-data | status]
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "schema/migrator.h"

namespace spanring::cli {
namespace {

// The migrator's own refusals say what to do; only what came from a lost connection is explained.
absl::Status Explained(const Context& context, const Session& session, const absl::Status& status) {
  if (status.code() != absl::StatusCode::kUnavailable) return status;
  return Explain(context, session.target(), status);
}

void PrintReport(const Context& context, const schema::MigrateReport& report,
                 std::string_view verb) {
  if (context.options.json) {
    const nlohmann::json json = {{"migrations", report.applied},
                                 {"objects_changed", report.objects_applied},
                                 {"notices", report.notices}};
    Print(json.dump());
    return;
  }
  for (const std::string& name : report.applied) Print(absl::StrCat(std::string(verb), " ", name));
  for (const std::string& notice : report.notices) Print(absl::StrCat("note: ", Escape(notice)));
  if (report.applied.empty() && !report.objects_applied) {
    Print("nothing to do");
  } else {
    Print(absl::StrCat(report.applied.size(), " migrations ", std::string(verb),
                       report.objects_applied ? ", views and functions too" : ""));
  }
}

}  // namespace

absl::StatusOr<int> MigrateUp(const Context& context) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  absl::StatusOr<schema::MigrateReport> report = schema::Up(session->connection());
  if (!report.ok()) return Explained(context, *session, report.status());
  PrintReport(context, *report, "applied");
  return kExitOk;
}

absl::StatusOr<int> MigrateDown(const Context& context, int to_version, bool drop_data) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  absl::StatusOr<schema::MigrateReport> report =
      schema::Down(session->connection(), to_version, drop_data);
  if (!report.ok()) return Explained(context, *session, report.status());
  PrintReport(context, *report, "taken back");
  return kExitOk;
}

absl::StatusOr<int> MigrateStatus(const Context& context) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  absl::StatusOr<schema::SchemaStatus> status = schema::Status(session->connection());
  if (!status.ok()) return Explained(context, *session, status.status());
  if (context.options.json) {
    nlohmann::json migrations = nlohmann::json::array();
    for (const schema::MigrationState& state : status->migrations) {
      migrations.push_back({{"version", state.version},
                            {"name", state.name},
                            {"applied", state.applied},
                            {"applied_at", state.applied_at}});
    }
    Print(nlohmann::json{{"migrations", migrations},
                         {"objects_current", status->objects_current},
                         {"current", status->IsCurrent()}}
              .dump());
    return status->IsCurrent() ? kExitOk : kExitBadAnswer;
  }
  std::vector<TableRow> rows;
  for (const schema::MigrationState& state : status->migrations) {
    rows.push_back({.cells = {absl::StrCat(state.version), state.name,
                              state.applied ? state.applied_at : "pending"},
                    .tone = state.applied ? Tone::kPlain : Tone::kWarning,
                    .note = ""});
  }
  Print(DrawTable({{.title = "version", .right_aligned = true},
                   {.title = "migration", .flexible = true},
                   {.title = "applied"}},
                  rows, context.width, context.style));
  if (status->IsCurrent()) {
    Print("the schema is current");
    return kExitOk;
  }
  Print(status->DatabaseIsNewer()
            ? "the database is newer than this program: upgrade the program"
            : "the schema is not current: run: " + context.Copyable("migrate"));
  return kExitBadAnswer;
}

}  // namespace spanring::cli
