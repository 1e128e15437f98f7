#include "mcp/tools.h"

#include <array>
#include <cstdint>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "answers/ids.h"
#include "mcp/query.h"
#include "mcp/questions.h"
#include "mcp/schemas.h"
#include "mcp/summaries.h"
#include "mcp/text.h"
#include "pg/client.h"

namespace spanring::mcp {
namespace {

using Json = nlohmann::json;
using Answer = absl::StatusOr<Json>;

constexpr int kMaxOperations = 20;
constexpr int kMaxGaps = 20;
constexpr int kMaxLatencies = 50;
constexpr std::size_t kMaxArgumentBytes = 1000;
constexpr std::size_t kMaxQueryBytes = 32 * 1024;

// A call's arguments, each read once; the first error is kept.
class Arguments {
 public:
  explicit Arguments(const Json& given) : given_(given) {}

  // A whole number; models write 2193 and "2193".
  pg::Parameter Id(const char* name) {
    const Json* value = Find(name);
    std::int64_t id = 0;
    if (value == nullptr) return std::nullopt;
    if (value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX) {
      Fail(name, "a whole number of 64 bits");
    } else if (value->is_number_integer()) {
      id = value->get<std::int64_t>();
    } else if (!value->is_string() ||
               !absl::SimpleAtoi(value->get_ref<const std::string&>(), &id)) {
      Fail(name, "a whole number, as in 2193");
    }
    return absl::StrCat(id);
  }

  std::int64_t Number(const char* name, std::int64_t least, std::int64_t most,
                      std::int64_t otherwise) {
    const pg::Parameter given = Id(name);
    std::int64_t number = otherwise;
    if (!given) return otherwise;
    if (!absl::SimpleAtoi(*given, &number) || number < least || number > most) {
      Fail(name, absl::StrCat("a whole number from ", least, " to ", most));
    }
    return number;
  }

  pg::Parameter Text(const char* name, std::size_t most = kMaxArgumentBytes) {
    const Json* value = Find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) {
      Fail(name, "a string");
      return std::nullopt;
    }
    const auto& text = value->get_ref<const std::string&>();
    if (text.size() > most || text.find('\0') != std::string::npos) {
      Fail(name, absl::StrCat("a string of at most ", most, " bytes, without NUL"));
    }
    return text;
  }

  pg::Parameter TraceId(const char* name) {
    pg::Parameter text = Text(name);
    if (!text) return text;
    const absl::StatusOr<std::string> id = answers::TraceId(*text);
    if (!id.ok()) Fail(name, "a UUID, or 32 or 16 hex digits");
    return id.ok() ? *id : text;
  }

  void Fail(std::string_view name, std::string_view what) {
    status_.Update(absl::InvalidArgumentError(
        absl::StrCat(std::string(name), " must be ", std::string(what))));
  }

  // What was never asked for is an error too: a filter that is misspelt must not be left out
  // silently.
  absl::Status status() const {
    if (!status_.ok()) return status_;
    for (const auto& [name, value] : given_.items()) {
      bool is_known = false;
      for (const char* known : known_) is_known = is_known || name == known;
      if (is_known) continue;
      std::string names;
      for (const char* known : known_) absl::StrAppend(&names, names.empty() ? "" : ", ", known);
      return absl::InvalidArgumentError(absl::StrCat("there is no argument ", Quoted(name, 100),
                                                     "; known: ", names.empty() ? "none" : names));
    }
    return absl::OkStatus();
  }

 private:
  const Json* Find(const char* name) {
    known_.push_back(name);
    const auto found = given_.find(name);
    return found == given_.end() || found->is_null() ? nullptr : &*found;
  }

  const Json& given_;
  std::vector<const char*> known_;
  absl::Status status_;
};

Answer Ask(const Sources& sources, const char* sql, const std::vector<pg::Parameter>& bound) {
  const absl::StatusOr<answers::Reader*> reader = sources.reader();
  if (!reader.ok()) return reader.status();
  const absl::StatusOr<std::string> text = (*reader)->AskText(sql, bound);
  if (!text.ok()) return text.status();
  Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InternalError("the database's answer is no JSON");
  return CleanedJson(json);
}

Answer AboutExecution(const Sources& sources, Arguments* arguments, const char* sql) {
  const pg::Parameter id = arguments->Id("execution_id");
  if (!id) arguments->Fail("execution_id", "given");
  if (absl::Status status = arguments->status(); !status.ok()) return status;
  return Ask(sources, sql, {id, absl::StrCat(kMaxOperations)});
}

Answer Diagnosis(const Sources& sources, Arguments* arguments) {
  return AboutExecution(sources, arguments, kDiagnosis);
}

Answer Comparison(const Sources& sources, Arguments* arguments) {
  return AboutExecution(sources, arguments, kComparison);
}

Answer Timeout(const Sources& sources, Arguments* arguments) {
  const pg::Parameter id = arguments->Id("execution_id");
  const pg::Parameter job = arguments->Text("job_id");
  if (id.has_value() == job.has_value())
    arguments->Fail("execution_id or job_id", "given, one of them");
  if (absl::Status status = arguments->status(); !status.ok()) return status;
  return Ask(sources, kTimeout, {id, job});
}

Answer Failures(const Sources& sources, Arguments* arguments) {
  const std::int64_t limit = arguments->Number("limit", 1, 50, 10);
  if (absl::Status status = arguments->status(); !status.ok()) return status;
  return Ask(sources, kFailures, {absl::StrCat(limit)});
}

Answer Performance(const Sources& sources, Arguments* arguments) {
  const pg::Parameter model = arguments->Text("model_id");
  const pg::Parameter region = arguments->Text("region");
  const std::int64_t hours = arguments->Number("hours", 1, 8784, 24);
  if (absl::Status status = arguments->status(); !status.ok()) return status;
  return Ask(sources, kPerformance, {absl::StrCat(hours), model, region});
}

Answer Operations(const Sources& sources, Arguments* arguments) {
  const std::int64_t hours = arguments->Number("hours", 1, 8784, 24);
  const pg::Parameter service = arguments->Text("service");
  if (absl::Status status = arguments->status(); !status.ok()) return status;
  return Ask(sources, kOperations, {absl::StrCat(hours), service, absl::StrCat(kMaxLatencies)});
}

Answer Gaps(const Sources& sources, Arguments* arguments) {
  const pg::Parameter trace = arguments->TraceId("trace_id");
  if (!trace) arguments->Fail("trace_id", "given");
  if (absl::Status status = arguments->status(); !status.ok()) return status;
  return Ask(sources, kGaps, {trace, absl::StrCat(kMaxGaps)});
}

Answer GetTrace(const Sources& sources, Arguments* arguments) {
  const pg::Parameter id = arguments->Id("execution_id");
  const pg::Parameter trace = arguments->TraceId("trace_id");
  const std::int64_t most = arguments->Number("max_spans", 1, 200, 20);
  if (id.has_value() == trace.has_value()) {
    arguments->Fail("execution_id or trace_id", "given, one of them");
  }
  if (absl::Status status = arguments->status(); !status.ok()) return status;
  return Trace(sources, id, trace, static_cast<int>(most));
}

Answer Health(const Sources& sources, Arguments* arguments) {
  if (absl::Status status = arguments->status(); !status.ok()) return status;
  return Ask(sources, kHealth, {});
}

Answer Query(const Sources& sources, Arguments* arguments) {
  const pg::Parameter query = arguments->Text("query", kMaxQueryBytes);
  const pg::Parameter given = arguments->Id("execution_id");
  if (!query) arguments->Fail("query", "given");
  if (absl::Status status = arguments->status(); !status.ok()) return status;
  const absl::StatusOr<std::string> conninfo = sources.query_conninfo();
  if (!conninfo.ok()) return conninfo.status();
  std::optional<std::int64_t> id;
  if (std::int64_t number = 0; given && absl::SimpleAtoi(*given, &number)) id = number;
  return RunQuery(*conninfo, *query, id);
}

struct Tool {
  std::string_view name;
  Answer (*answer)(const Sources&, Arguments*);
  std::string (*text)(Json);
  const char* none;  // what to say of what is not there
};

constexpr char kNoExecution[] =
    "there are no spans of this execution: get_recent_failures lists executions, health says "
    "whether "
    "spans arrive";
constexpr char kNoTrace[] = "there are no spans of this trace: trace ids come with an execution";

constexpr std::array<Tool, 10> kTools = {{
    {"diagnose_execution", Diagnosis, DiagnosisText, kNoExecution},
    {"find_timeout_root_cause", Timeout, TimeoutText,
     "there are no spans of this execution, or the job has none that timed out or failed: "
     "get_recent_failures lists those that did"},
    {"compare_with_successful", Comparison, ComparisonText, kNoExecution},
    {"get_recent_failures", Failures, FailuresText, ""},
    {"analyze_performance", Performance, PerformanceText, ""},
    {"list_operations", Operations, OperationsText, ""},
    {"find_trace_gaps", Gaps, GapsText, kNoTrace},
    {"get_trace", GetTrace, TraceText,
     "there are no such spans: get_recent_failures lists executions"},
    {"health", Health, HealthText, ""},
    {"query_traces", Query, QueryText, ""},
}};

Json TextContent(std::string text) {
  return Json::array({{{"type", "text"}, {"text", std::move(text)}}});
}

}  // namespace

std::string Advice(const absl::Status& status, std::string_view none) {
  const std::string message = Cleaned(std::string(status.message()), 2000);
  const std::string_view code = pg::SqlState(status);
  if (absl::IsNotFound(status) && !none.empty()) return std::string(none);
  if (absl::IsInvalidArgument(status)) return message;
  if (absl::IsUnavailable(status)) {
    return absl::StrCat("the database cannot be reached: ", message,
                        ". Try again; if it lasts, spanring doctor looks for the cause");
  }
  if (absl::IsDeadlineExceeded(status)) {
    return absl::StrCat(message, ". Ask for less: a shorter time or one execution");
  }
  if (code == "42P01" || code == "42883" || code == "42703" || code == "3F000") {
    return "the tracing schema is missing or too old in this database: run spanring migrate";
  }
  if (code == "42501") {
    return absl::StrCat(message, ": as the owner of the tables: GRANT spanring_reader TO the user");
  }
  return message;
}

Answer Trace(const Sources& sources, std::optional<std::string> execution_id,
             std::optional<std::string> trace_id, int max_spans) {
  return Ask(sources, kTrace,
             {std::move(execution_id), std::move(trace_id), absl::StrCat(max_spans)});
}

const Json& ToolList() {
  static const Json* const list = new Json(MakeToolList());
  return *list;
}

std::optional<Json> CallTool(const Sources& sources, std::string_view name, const Json& arguments) {
  for (const Tool& tool : kTools) {
    if (tool.name != name) continue;
    Arguments given(arguments);
    const Answer answer = tool.answer(sources, &given);
    if (answer.ok()) {
      return Json{{"content", TextContent(tool.text(*answer))}, {"structuredContent", *answer}};
    }
    return Json{{"content", TextContent(absl::StrCat(std::string(name), ": ",
                                                     Advice(answer.status(), tool.none)))},
                {"isError", true}};
  }
  return std::nullopt;
}

}  // namespace spanring::mcp
