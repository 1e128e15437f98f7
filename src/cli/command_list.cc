// spanring list
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "answers/questions.h"
#include "cli/commands.h"
#include "cli/execution_rows.h"
#include "cli/render/table.h"
#include "cli/render/text.h"

namespace spanring::cli {

absl::StatusOr<int> List(const Context& context, const ExecutionFilters& filters, int limit) {
  const absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  pg::Parameter since;
  if (!filters.since.empty()) {
    absl::StatusOr<std::string> time = ResolveSince(*session, filters.since);
    if (!time.ok()) return time.status();
    since = *std::move(time);
  }
  const absl::StatusOr<pg::Result> answer =
      session->Query(absl::StrCat("SELECT answer -> 'executions', answer ->> 'has_more' FROM (",
                                  answers::kExecutions, ") AS listed (answer)"),
                     ListParameters(filters, limit, since, std::nullopt));
  if (!answer.ok()) return answer.status();
  const std::string text(pg::Cell(answer->get(), 0, 0));
  if (context.options.json) {
    Print(EscapeJson(text));
    return kExitOk;
  }
  const nlohmann::json executions =
      nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  std::vector<TableRow> rows;
  for (const nlohmann::json& execution : executions) {
    rows.push_back(ExecutionRow(execution, filters.causes));
  }
  if (rows.empty()) {
    Print("no such executions");
    return kExitOk;
  }
  std::vector<TableColumn> columns = ExecutionColumns(filters.causes);
  DropEmpty(&columns, &rows);
  Print(DrawTable(columns, rows, context.width, context.style));
  if (pg::Cell(answer->get(), 0, 1) == "true" && context.progress) {
    PrintNote(absl::StrCat("there may be more: --limit ", limit * 2));
  }
  return kExitOk;
}

}  // namespace spanring::cli
