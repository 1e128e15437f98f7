// /api/v1: see docs/openapi.json.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "answers/questions.h"
#include "serve/parameters.h"
#include "serve/service.h"

namespace spanring::serve {
namespace {

using Answer = absl::StatusOr<std::string>;

// A status that is misspelt is no filter that finds nothing.
absl::Status CheckStatuses(const pg::Parameter& statuses) {
  static constexpr std::array<std::string_view, 4> kStatuses = {"started", "completed", "failed",
                                                                "timeout"};
  if (!statuses) return absl::OkStatus();
  for (const std::string& status : std::vector<std::string>(absl::StrSplit(*statuses, ','))) {
    if (std::find(kStatuses.begin(), kStatuses.end(), status) != kStatuses.end()) continue;
    return absl::InvalidArgumentError(
        "status is one or several of started, completed, failed, timeout, by comma");
  }
  return absl::OkStatus();
}

Answer Executions(answers::Reader* reader, const http::Request& request) {
  Parameters asked(request);
  const std::int64_t limit = asked.Number("limit", 50, 1, 1000);
  std::vector<pg::Parameter> bound = {absl::StrCat(limit)};
  for (const char* name : {"status", "job", "model", "region", "service", "from", "to"}) {
    bound.push_back(asked.Text(name));
  }
  bound.push_back(asked.OptionalNumber("min_duration_ms", 0, INT64_MAX));
  bound.push_back(asked.Text("before"));
  bound.push_back(asked.OptionalNumber("before_id", INT64_MIN, INT64_MAX));
  bound.push_back(std::nullopt);  // Among all ids.
  bound.push_back(asked.Bool("causes"));
  const absl::Status status = asked.status();
  if (!status.ok()) return status;
  if (absl::Status known = CheckStatuses(bound[1]); !known.ok()) return known;
  if (bound[9].has_value() != bound[10].has_value()) {
    return absl::InvalidArgumentError(
        "before and before_id, the started_at and execution_id of the last row, come together");
  }
  return reader->AskText(answers::kExecutions, bound);
}

Answer Operations(answers::Reader* reader, const http::Request& request) {
  Parameters asked(request);
  std::vector<pg::Parameter> bound = {asked.Text("from"), asked.Text("to"), asked.Text("service")};
  const absl::Status status = asked.status();
  if (!status.ok()) return status;
  if (!bound[0] || !bound[1])
    return absl::InvalidArgumentError("from and to are times, both needed");
  return reader->AskText(answers::kOperations, bound);
}

Answer AboutExecution(answers::Reader* reader, const http::Request& request, std::int64_t id,
                      std::string_view what) {
  struct Question {
    std::string_view name;
    const char* sql;
  };
  static constexpr const char* kTraceOf = answers::kTrace;
  const std::array<Question, 5> questions = {{{"", answers::kExecution},
                                              {"trace", kTraceOf},
                                              {"diagnosis", answers::kDiagnosis},
                                              {"root-cause", answers::kRootCause},
                                              {"network", answers::kNetwork}}};
  Parameters asked(request);
  std::vector<pg::Parameter> bound = {absl::StrCat(id)};
  const std::int64_t limit = what == "similar" ? asked.Number("limit", 5, 1, 100) : 0;
  const absl::Status status = asked.status();
  if (!status.ok()) return status;
  Answer answer = absl::NotFoundError("no such path");
  if (what == "similar") {
    bound.emplace_back(absl::StrCat(limit));
    answer = reader->AskText(answers::kSimilar, bound);
  }
  for (const Question& question : questions) {
    if (question.name != what) continue;
    if (question.sql == kTraceOf) bound.emplace_back(std::nullopt);
    answer = reader->AskText(question.sql, bound);
    if (absl::IsNotFound(answer.status())) {
      return absl::NotFoundError(absl::StrCat("no spans of execution ", id));
    }
  }
  return answer;
}

}  // namespace

absl::StatusOr<std::string> ApiAnswer(answers::Reader* reader, const http::Request& request) {
  const std::vector<std::string>& path = request.parts;
  const std::size_t parts = path.size();
  const std::string what = parts > 3 ? path[3] : "";
  if (what == "executions" && parts == 4) return Executions(reader, request);
  if (what == "operations" && parts == 4) return Operations(reader, request);
  if (what == "executions" && (parts == 5 || parts == 6)) {
    const absl::StatusOr<std::int64_t> id = ExecutionId(path[4]);
    if (!id.ok()) return id.status();
    return AboutExecution(reader, request, *id, parts == 6 ? path[5] : "");
  }
  const absl::Status none = Parameters(request).status();
  if (!none.ok()) return none;
  if (what == "health" && parts == 4) return reader->AskText(answers::kHealth);
  if (what == "executions" && parts == 7 && path[5] == "compare") {
    const absl::StatusOr<std::int64_t> a = ExecutionId(path[4]);
    const absl::StatusOr<std::int64_t> b = ExecutionId(path[6]);
    if (!a.ok() || !b.ok()) return a.ok() ? b.status() : a.status();
    return reader->AskText(answers::kComparison, {absl::StrCat(*a), absl::StrCat(*b)});
  }
  if (what == "traces" && parts == 5) {
    const absl::StatusOr<std::string> id = TraceId(path[4]);
    if (!id.ok()) return id.status();
    absl::StatusOr<std::string> answer = reader->AskText(answers::kTrace, {std::nullopt, *id});
    if (absl::IsNotFound(answer.status())) {
      return absl::NotFoundError(absl::StrCat("no spans of trace ", *id));
    }
    return answer;
  }
  return absl::NotFoundError("no such path");
}

}  // namespace spanring::serve
