// Jaeger's query API, as Jaeger UI and Grafana call it: v1 below /api, v3 below /api/v3.
// https://www.jaegertracing.io/docs/latest/architecture/apis/
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "answers/questions.h"
#include "serve/parameters.h"
#include "serve/service.h"

namespace spanring::serve {
namespace {

using Answer = absl::StatusOr<std::string>;
using Json = nlohmann::json;

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6S+00:00", time, absl::UTCTimeZone());
}

// A search, from whichever version's parameters.
class Search {
 public:
  explicit Search(const http::Request& request) : request_(request) {}

  absl::StatusOr<std::vector<pg::Parameter>> V1() {
    const absl::Time to = Microseconds("end").value_or(absl::Now());
    const absl::Time from = Microseconds("start").value_or(to - absl::Hours(48));
    service_ = Text("service");
    operation_ = Text("operation");
    Duration("minDuration", &least_ns_);
    Duration("maxDuration", &most_ns_);
    Tags(Text("tags"), "tags");
    for (const auto& [name, value] : request_.query) {
      if (name == "tag") Tag(value);
    }
    return Bound(from, to, Text("limit"), "limit");
  }

  // Each name also as Jaeger wrote it before, which its other clients still do.
  absl::StatusOr<std::vector<pg::Parameter>> V3() {
    const absl::Time to =
        Rfc3339(Given("query.startTimeMax", "query.start_time_max")).value_or(absl::Now());
    const absl::Time from =
        Rfc3339(Given("query.startTimeMin", "query.start_time_min")).value_or(to - absl::Hours(48));
    service_ = Text(Given("query.serviceName", "query.service_name"));
    operation_ = Text(Given("query.operationName", "query.operation_name"));
    Duration(Given("query.durationMin", "query.duration_min"), &least_ns_);
    Duration(Given("query.durationMax", "query.duration_max"), &most_ns_);
    Tags(Text("query.attributes"), "query.attributes");
    Boolean(Given("query.rawTraces", "query.raw_traces"));
    // To leave it out without a word would find other traces.
    if (Text("query.filter")) Fail("query.filter", "unknown here: use query.attributes");
    const std::string_view depth =
        Given("query.searchDepth", Given("query.search_depth", "query.num_traces"));
    return Bound(from, to, Text(depth), depth);
  }

  // What may stand beside the id of a trace. The id finds it whenever it was, and times are as they
  // were recorded, so that none of it changes the answer.
  absl::Status OfTraceV3() {
    (void)Rfc3339(Given("startTime", "start_time"));
    (void)Rfc3339(Given("endTime", "end_time"));
    Boolean(Given("rawTraces", "raw_traces"));
    return status_;
  }

 private:
  std::string_view Given(std::string_view name, std::string_view otherwise) const {
    return Text(name) ? name : otherwise;
  }

  pg::Parameter Text(std::string_view name) const {
    std::optional<std::string> value = request_.Query(name);
    if (value && value->empty()) return std::nullopt;
    return value;
  }

  void Fail(std::string_view name, std::string_view what) {
    status_.Update(
        absl::InvalidArgumentError(absl::StrCat(std::string(name), " is ", std::string(what))));
  }

  std::optional<absl::Time> Microseconds(std::string_view name) {
    const pg::Parameter text = Text(name);
    std::int64_t us = 0;
    if (!text) return std::nullopt;
    // Until the year 9999.
    if (!absl::SimpleAtoi(*text, &us) || us < 0 || us > 253402300799999999) {
      Fail(name, "a time in microseconds since 1970");
      return std::nullopt;
    }
    return absl::FromUnixMicros(us);
  }

  std::optional<absl::Time> Rfc3339(std::string_view name) {
    const pg::Parameter text = Text(name);
    absl::Time time;
    std::string error;
    if (!text) return std::nullopt;
    if (!absl::ParseTime(absl::RFC3339_full, *text, &time, &error)) {
      Fail(name, "a time as in 2026-11-24T08:00:00Z");
      return std::nullopt;
    }
    return time;
  }

  void Boolean(std::string_view name) {
    const pg::Parameter text = Text(name);
    bool is_true = false;
    if (text && !absl::SimpleAtob(*text, &is_true)) Fail(name, "true or false");
  }

  void Duration(std::string_view name, pg::Parameter* ns) {
    const pg::Parameter text = Text(name);
    absl::Duration duration;
    if (!text) return;
    if (!absl::ParseDuration(*text, &duration) || duration < absl::ZeroDuration() ||
        duration > absl::Hours(24 * 365 * 200)) {
      return Fail(name, "a duration as in 1.5s or 100ms");
    }
    *ns = absl::StrCat(absl::ToInt64Nanoseconds(duration));
  }

  void Tags(const pg::Parameter& text, std::string_view name) {
    if (!text) return;
    const Json tags = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!tags.is_object()) return Fail(name, "a JSON object, as in {\"error\":\"true\"}");
    for (const auto& [key, value] : tags.items()) {
      attributes_[key] = value.is_string() ? value : Json(value.dump());
    }
  }

  void Tag(const std::string& text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos) return Fail("tag", "a name and a value, as in error:true");
    attributes_[text.substr(0, colon)] = text.substr(colon + 1);
  }

  absl::StatusOr<std::vector<pg::Parameter>> Bound(absl::Time from, absl::Time to,
                                                   const pg::Parameter& limit,
                                                   std::string_view limit_name) {
    std::int64_t count = 20;
    if (limit && (!absl::SimpleAtoi(*limit, &count) || count < 1 || count > 1500)) {
      Fail(limit_name, "a number from 1 to 1500");
    }
    if (from >= to) status_.Update(absl::InvalidArgumentError("the start is not before the end"));
    if (!status_.ok()) return status_;
    pg::Parameter attributes;
    if (!attributes_.empty()) {
      attributes = attributes_.dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    return std::vector<pg::Parameter>{TimeText(from), TimeText(to), service_, operation_,
                                      attributes,     least_ns_,    most_ns_, absl::StrCat(count)};
  }

  const http::Request& request_;
  pg::Parameter service_;
  pg::Parameter operation_;
  pg::Parameter least_ns_;
  pg::Parameter most_ns_;
  Json attributes_ = Json::object();
  absl::Status status_;
};

Answer Traces(answers::Reader* reader, const std::vector<std::string>& ids,
              const char* sql = answers::kJaegerTraces) {
  std::vector<std::string> uuids;
  for (const std::string& text : ids) {
    const absl::StatusOr<std::string> id = TraceId(text);
    if (!id.ok()) return id.status();
    uuids.push_back(*id);
  }
  Answer answer = reader->AskText(sql, {absl::StrCat("{", absl::StrJoin(uuids, ","), "}")});
  if (absl::IsNotFound(answer.status())) return absl::NotFoundError("trace not found");
  return answer;
}

Answer FindTraces(answers::Reader* reader, const http::Request& request) {
  std::vector<std::string> ids;
  for (const auto& [name, value] : request.query) {
    if (name == "traceID") ids.push_back(value);
  }
  if (!ids.empty()) return Traces(reader, ids);
  const auto bound = Search(request).V1();
  if (!bound.ok()) return bound.status();
  return reader->AskText(answers::kJaegerSearch, *bound);
}

Answer Dependencies(answers::Reader* reader, const http::Request& request) {
  Parameters asked(request);
  constexpr std::int64_t kDayMs = 86'400'000;
  const std::int64_t end_ms =
      asked.Number("endTs", absl::ToUnixMillis(absl::Now()), 0, 253402300799999);
  const std::int64_t lookback_ms = asked.Number("lookback", kDayMs, 1, 366 * kDayMs);
  const absl::Status status = asked.status();
  if (!status.ok()) return status;
  const absl::Time end = absl::FromUnixMillis(end_ms);
  return reader->AskText(answers::kJaegerDependencies,
                         {TimeText(end - absl::Milliseconds(lookback_ms)), TimeText(end)});
}

Answer OperationsOf(answers::Reader* reader, const http::Request& request, const char* sql) {
  const pg::Parameter service = request.Query("service");
  if (!service) return absl::InvalidArgumentError("service is missing");
  return reader->AskText(sql, {service});
}

Answer SearchV3(answers::Reader* reader, const http::Request& request, const char* sql) {
  const auto bound = Search(request).V3();
  if (!bound.ok()) return bound.status();
  Answer answer = reader->AskText(sql, *bound);
  if (absl::IsNotFound(answer.status())) return absl::NotFoundError("No traces found");
  return answer;
}

Answer V3(answers::Reader* reader, const http::Request& request) {
  const std::vector<std::string>& path = request.parts;
  const std::string what = path.size() > 3 ? path[3] : "";
  if (what == "traces" && path.size() == 5) {
    const absl::Status status = Search(request).OfTraceV3();
    return status.ok() ? Traces(reader, {path[4]}, answers::kJaegerTracesV3) : Answer(status);
  }
  if (path.size() != 4) return absl::NotFoundError("no such path");
  if (what == "services") return reader->AskText(answers::kJaegerServicesV3);
  if (what == "operations") return OperationsOf(reader, request, answers::kJaegerOperationsV3);
  if (what == "traces") return SearchV3(reader, request, answers::kJaegerSearchV3);
  if (what == "trace-summaries") return SearchV3(reader, request, answers::kJaegerSummaries);
  return absl::NotFoundError("no such path");
}

bool IsV3(const http::Request& request) {
  return request.parts.size() > 2 && request.parts[2] == "v3";
}

}  // namespace

absl::StatusOr<std::string> JaegerAnswer(answers::Reader* reader, const http::Request& request) {
  if (IsV3(request)) return V3(reader, request);
  const std::vector<std::string>& path = request.parts;
  const std::size_t parts = path.size();
  const std::string what = parts > 2 ? path[2] : "";
  if (what == "services" && parts == 3) return reader->AskText(answers::kJaegerServices);
  if (what == "services" && parts == 5 && path[4] == "operations") {
    return reader->AskText(answers::kJaegerOperationNames, {path[3]});
  }
  if (what == "operations" && parts == 3) {
    return OperationsOf(reader, request, answers::kJaegerOperations);
  }
  if (what == "traces" && parts == 3) return FindTraces(reader, request);
  if (what == "traces" && parts == 4) return Traces(reader, {path[3]});
  if (what == "dependencies" && parts == 3) return Dependencies(reader, request);
  return absl::NotFoundError("no such path");
}

http::Response JaegerFailure(const http::Request& request, http::Response response) {
  const Json said = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  const Json& message = said["error"]["message"];
  const Json v1 = {{"data", nullptr},
                   {"total", 0},
                   {"limit", 0},
                   {"offset", 0},
                   {"errors", {{{"code", response.status}, {"msg", message}}}}};
  const Json v3 = {{"error", {{"httpCode", response.status}, {"message", message}}}};
  response.body = (IsV3(request) ? v3 : v1).dump();
  return response;
}

}  // namespace spanring::serve
