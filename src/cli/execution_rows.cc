#include "cli/execution_rows.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/render/text.h"
#include "cli/render/units.h"

namespace spanring::cli {
namespace {

std::string Text(const nlohmann::json& execution, const char* name) {
  const auto found = execution.find(name);
  if (found == execution.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

// "2026-11-24T08:00:01.234+00:00" without what nobody compares: "2026-11-24 08:00:01Z".
std::string Time(std::string text) {
  constexpr std::size_t kSecond = 19;
  if (text.size() <= kSecond || text[10] != 'T') return text;
  text[10] = ' ';
  const auto at = text.find_first_of("+-Z", kSecond);
  const std::string zone = at == std::string::npos ? "" : text.substr(at);
  return text.substr(0, kSecond) + (zone == "+00:00" ? "Z" : zone);
}

std::string Duration(const nlohmann::json& execution) {
  const auto found = execution.find("duration_ms");
  if (found == execution.end() || !found->is_number_integer()) return "";
  return FormatDuration(found->get<std::int64_t>() * 1'000'000);
}

// "NETWORK_TIMEOUT in router -> runner".
std::string Cause(const nlohmann::json& execution) {
  const auto cause = execution.find("cause");
  if (cause == execution.end() || !cause->is_object()) return "";
  const std::string type = Text(*cause, "root_cause_type");
  const std::string service = Text(*cause, "affected_service");
  const std::string operation = Text(*cause, "affected_operation");
  if (service.empty()) return type;
  // Of a way between services the operations would say it again.
  return absl::StrCat(type, " in ",
                      type == "NETWORK_TIMEOUT" ? service : Label(service, operation));
}

}  // namespace

std::vector<TableColumn> ExecutionColumns(bool causes) {
  std::vector<TableColumn> columns = {{.title = ""},
                                      {.title = "execution", .right_aligned = true},
                                      {.title = "status"},
                                      {.title = "duration", .right_aligned = true},
                                      {.title = "started"}};
  if (causes) {
    columns.push_back({.title = "cause", .flexible = true});
    return columns;
  }
  for (const char* title : {"job", "model", "region", "root operation"}) {
    columns.push_back({.title = title, .flexible = true});
  }
  return columns;
}

TableRow ExecutionRow(const nlohmann::json& execution, bool causes) {
  const std::string status = Text(execution, "status");
  const bool failed = status == "failed" || status == "timeout";
  TableRow row = {.cells = {failed ? "!" : "", Text(execution, "execution_id"), status,
                            Duration(execution), Time(Text(execution, "started_at"))},
                  .tone = status == "completed" ? Tone::kPlain : Style::OfStatus(status),
                  .note = ""};
  if (causes) {
    row.cells.push_back(Cause(execution));
    return row;
  }
  const std::string operation = Text(execution, "root_operation");
  for (const char* name : {"job_id", "model_id", "region"}) {
    row.cells.push_back(Text(execution, name));
  }
  row.cells.push_back(operation.empty() ? "" : Label(Text(execution, "root_service"), operation));
  return row;
}

void DropEmpty(std::vector<TableColumn>* columns, std::vector<TableRow>* rows) {
  for (std::size_t i = columns->size(); i-- > 0;) {
    const std::string& title = (*columns)[i].title;
    if (title != "job" && title != "model" && title != "region") continue;
    const auto has = [i](const TableRow& row) { return !row.cells[i].empty(); };
    if (std::any_of(rows->begin(), rows->end(), has)) continue;
    const auto at = static_cast<std::ptrdiff_t>(i);
    columns->erase(columns->begin() + at);
    for (TableRow& row : *rows) row.cells.erase(row.cells.begin() + at);
  }
}

}  // namespace spanring::cli
