#include "import/attributes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"

namespace spanring::importer {
namespace {

// As the library has them: see span.h.
constexpr std::size_t kMostNameBytes = 255;
constexpr std::size_t kMostMessageBytes = 16 * 1024;

std::optional<std::int64_t> FromDouble(double number) {
  constexpr double kLimit = 9.2e18;
  if (!(number > -kLimit && number < kLimit)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

// As IntegerOf, of what is no fraction: 42.7 is nobody's id.
std::optional<std::int64_t> IdOf(const Json& value) {
  const auto number = IntegerOf(value);
  if (!number) return std::nullopt;
  double said = static_cast<double>(*number);
  if (value.is_number_float()) said = value.get<double>();
  if (value.is_string() && !absl::SimpleAtod(value.get_ref<const std::string&>(), &said)) {
    return std::nullopt;
  }
  return said == static_cast<double>(*number) ? number : std::nullopt;
}

// Accepts what jsonb does: no NUL in a text, and no deeper than what is read here.
class ForPostgres : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t& text) override { return text.find('\0') == string_t::npos; }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& name) override { return string(name); }
  bool start_object(std::size_t) override { return ++depth_ <= JsonWalker::kMostDepth; }
  bool start_array(std::size_t) override { return ++depth_ <= JsonWalker::kMostDepth; }
  bool end_object() override { return --depth_, true; }
  bool end_array() override { return --depth_, true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  std::size_t depth_ = 0;
};

bool IsForPostgres(std::string_view text) {
  ForPostgres look;
  return Json::sax_parse(text, &look);
}

bool IsTrue(const Json* value) {
  if (value == nullptr) return false;
  if (value->is_boolean()) return value->get<bool>();
  return value->is_string() && absl::EqualsIgnoreCase(value->get_ref<const std::string&>(), "true");
}

// "java.net.SocketTimeoutException", "DEADLINE_EXCEEDED", "ETIMEDOUT": it ran out of time, in so
// many words.
bool SaysTimeout(std::string_view type) {
  if (const auto end = type.find_last_of(".:/$"); end != std::string_view::npos) {
    type.remove_prefix(end + 1);
  }
  std::string plain;
  for (const char c : type) {
    if (c != '_' && c != '-' && c != ' ')
      plain += absl::ascii_tolower(static_cast<unsigned char>(c));
  }
  return plain.find("timeout") != std::string::npos ||
         plain.find("timedout") != std::string::npos ||
         plain.find("deadlineexceeded") != std::string::npos;
}

// gRPC's status 4 is DEADLINE_EXCEEDED: https://grpc.io/docs/guides/status-codes/
bool HasTimeoutStatus(const Json& attributes) {
  for (const char* name :
       {"rpc.grpc.status_code", "grpc.status_code", "rpc.response.status_code"}) {
    const Json* value = Member(attributes, name);
    if (value == nullptr) continue;
    const std::string text = absl::AsciiStrToUpper(TextOf(*value));
    if (text == "4" || text == "DEADLINE_EXCEEDED" || text == "DEADLINEEXCEEDED") return true;
  }
  return false;
}

}  // namespace

const Json* Member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string_view TextMember(const Json& object, const char* name) {
  const Json* value = Member(object, name);
  return value != nullptr && value->is_string()
             ? std::string_view(value->get_ref<const std::string&>())
             : std::string_view();
}

std::string TextOf(const Json& value) {
  return value.is_string() ? value.get<std::string>() : JsonText(value);
}

std::string JsonText(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<std::int64_t> IntegerOf(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return std::nullopt;
    }
    return static_cast<std::int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number_float()) return FromDouble(value.get<double>());
  if (!value.is_string()) return std::nullopt;
  const std::string& text = value.get_ref<const std::string&>();
  std::int64_t number = 0;
  if (absl::SimpleAtoi(text, &number)) return number;
  double fraction = 0;
  const bool is_fraction = text.find_first_of(".eE") != std::string::npos;
  return is_fraction && absl::SimpleAtod(text, &fraction) ? FromDouble(fraction) : std::nullopt;
}

std::string NameText(std::string_view text) {
  return std::string(base::Truncate(text, kMostNameBytes));
}

ExecutionContext TakeContext(Json* attributes) {
  ExecutionContext context;
  const auto take = [&](const char* name, const auto& store) {
    for (const std::string& key : {std::string(name), absl::StrCat("spanring.", name)}) {
      const auto found = attributes->find(key);
      if (found == attributes->end() || found->is_structured() || found->is_null()) continue;
      if (store(*found)) attributes->erase(found);
    }
  };
  const auto text = [](std::string* into) {
    return [into](const Json& value) {
      *into = NameText(TextOf(value));
      return true;
    };
  };
  take("execution_id", [&](const Json& value) {
    const auto number = IdOf(value);
    if (number) context.execution_id = number;
    return number.has_value();
  });
  take("job_id", text(&context.job_id));
  take("model_id", text(&context.model_id));
  take("region", text(&context.region));
  return context;
}

void Draft::SetIds(std::string_view trace, std::string_view span_id, std::string_view parent,
                   bool base64) {
  const auto trace_id = ParseTraceId(trace, base64);
  const auto own_id = ParseSpanId(span_id, base64);
  if (!trace_id || trace_id->id.is_nil()) refusal = trace_id ? "its trace id is 0" : "no trace id";
  if (!own_id || own_id->id.is_nil()) refusal = own_id ? "its span id is 0" : "no span id";
  if (!refusal.empty()) return;
  span.trace_id = trace_id->id;
  span.span_id = own_id->id;
  if (!trace_id->exact) attributes["import.trace_id"] = NameText(trace);
  if (!own_id->exact) attributes["import.span_id"] = NameText(span_id);
  if (const auto parent_id = ParseSpanId(parent, base64)) span.parent_id = parent_id->id;
}

void Draft::SetKind(std::string_view kind) {
  std::string name = absl::AsciiStrToLower(std::string(kind));
  constexpr std::string_view kPrefix = "span_kind_";
  if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
  if (!name.empty() && name != "unspecified") attributes["span.kind"] = std::move(name);
}

void Draft::SetStart(const Json* value, std::int64_t unit_ns, std::string_view what) {
  if (value == nullptr) {
    refusal = absl::StrCat("no ", std::string(what));
    return;
  }
  const auto number = IntegerOf(*value);
  if (!number) {
    refusal = absl::StrCat(std::string(what),
                           " is no time: ", std::string(base::Truncate(JsonText(*value), 60)));
  } else if (__builtin_mul_overflow(*number, unit_ns, &span.start_ns)) {
    refusal = absl::StrCat(std::string(what), " lies outside of the years 1678 to 2261");
  }
}

void Draft::SetDuration(const Json* value, std::int64_t unit_ns, std::string_view what) {
  if (value == nullptr) return;
  const auto number = IntegerOf(*value);
  std::int64_t duration_ns = 0;
  if (!number) {
    refusal = absl::StrCat(std::string(what),
                           " is no number: ", std::string(base::Truncate(JsonText(*value), 60)));
  } else if (__builtin_mul_overflow(*number, unit_ns, &duration_ns)) {
    refusal = absl::StrCat(std::string(what), " is longer than 292 years");
  } else {
    span.duration_ns = duration_ns;
  }
}

void Draft::SetEnd(std::int64_t end_ns) {
  std::int64_t duration_ns = 0;
  if (__builtin_sub_overflow(end_ns, span.start_ns, &duration_ns)) {
    refusal = "it is longer than 292 years";
  } else {
    span.duration_ns = duration_ns;
  }
}

std::string Draft::FromAttributesOrEvents(const Json& own, std::initializer_list<const char*> names,
                                          bool events_too) const {
  for (const char* name : names) {
    const Json* value = Member(own, name);
    if (value != nullptr && value->is_primitive()) return TextOf(*value);
  }
  if (!events_too) return "";
  for (const Json& event : events) {
    const Json* said = Member(event, "attributes");
    if (said == nullptr) continue;
    if (std::string found = FromAttributesOrEvents(*said, names, false); !found.empty())
      return found;
  }
  return "";
}

bool Draft::TakeExported() {
  static constexpr std::array<std::string_view, 4> kStatuses = {"started", "completed", "failed",
                                                                "timeout"};
  static constexpr std::array<std::string_view, 7> kColumns = {
      "execution_id", "job_id", "model_id", "region", "error.type", "error.message", "error"};
  const std::string_view said = TextMember(attributes, "spanring.status");
  const auto* const status = std::find(kStatuses.begin(), kStatuses.end(), said);
  if (status == kStatuses.end()) return false;
  span.status = *status;
  const std::string added =
      absl::StrCat(",", std::string(TextMember(attributes, "spanring.added")), ",");
  Json columns = Json::object();
  const auto take = [&](std::string_view column, const std::string& name) {
    const auto found = attributes.find(name);
    if (found == attributes.end()) return;
    columns[std::string(column)] = std::move(*found);
    attributes.erase(found);
  };
  for (const std::string_view column : kColumns) {
    const std::string name(column);
    if (absl::StrContains(added, absl::StrCat(",", name, ","))) take(column, name);
    if (column != "error") take(column, absl::StrCat("spanring.", name));
  }
  const Json* ended = Member(attributes, "spanring.ended");
  const bool open = ended != nullptr && (*ended == false || *ended == "false");
  if (open || span.status == "started") span.duration_ns.reset();
  span.context = TakeContext(&columns);
  span.error_type = NameText(TextMember(columns, "error.type"));
  span.error_message =
      std::string(base::Truncate(TextMember(columns, "error.message"), kMostMessageBytes));
  if (const std::string_view metadata = TextMember(attributes, "spanring.metadata");
      IsForPostgres(metadata)) {
    span.is_whole = true;
    if (metadata != "null") span.metadata = metadata;
    return true;
  }
  for (const char* name : {"spanring.status", "spanring.added", "spanring.ended"}) {
    attributes.erase(name);
  }
  return true;
}

void Draft::Finish() {
  if (span.duration_ns && *span.duration_ns < 0) {
    // As RowEncoder has it.
    attributes["spanring.ended_before_start_ns"] =
        -std::max(*span.duration_ns, std::numeric_limits<std::int64_t>::min() + 1);
    span.duration_ns = 0;
  }
  if (TakeExported()) return FinishMetadata();
  failed = failed || IsTrue(Member(attributes, "error")) ||
           TextMember(attributes, "otel.status_code") == "ERROR";
  const std::initializer_list<const char*> kTypes = {"error.type", "exception.type", "error.kind"};
  // An exception in an event of a span that went well was dealt with.
  std::string type = FromAttributesOrEvents(attributes, kTypes, failed);
  if (message.empty()) {
    message = FromAttributesOrEvents(
        attributes,
        {"otel.status_description", "status.message", "exception.message", "error.message"},
        failed);
  }
  if (const std::string_view error = TextMember(attributes, "error");
      message.empty() && failed && !absl::EqualsIgnoreCase(std::string(error), "true")) {
    message = error;
  }
  const bool timeout = SaysTimeout(type) || HasTimeoutStatus(attributes) ||
                       (failed && message.size() < 32 && message.find(' ') == std::string::npos &&
                        SaysTimeout(message));
  if (timeout) {
    span.status = "timeout";
  } else if (failed) {
    span.status = "failed";
  } else {
    span.status = span.duration_ns ? "completed" : "started";
  }
  if (failed || timeout) {
    span.error_type = NameText(type);
    span.error_message = std::string(base::Truncate(message, kMostMessageBytes));
  }
  span.context = TakeContext(&attributes);
  FinishMetadata();
}

void Draft::FinishMetadata() {
  if (span.is_whole) return;
  if (!events.empty()) attributes["events"] = std::move(events);
  if (!links.empty()) attributes["links"] = std::move(links);
  if (!attributes.empty()) span.metadata = JsonText(attributes);
}

Resource Resource::From(std::string_view service, Json attributes) {
  Resource resource;
  if (!attributes.is_object()) attributes = Json::object();
  resource.service = NameText(service);
  const Json* name = Member(attributes, "service.name");
  if (service.empty() && name != nullptr && name->is_primitive()) {
    resource.service = NameText(TextOf(*name));
    attributes.erase("service.name");
  }
  if (resource.service.empty()) resource.service = kUnknownService;
  resource.context = TakeContext(&attributes);
  if (!attributes.empty()) resource.attributes = JsonText(attributes);
  return resource;
}

void Resource::ApplyTo(Span* span) const {
  span->service = service;
  if (span->is_whole) return;
  span->context.FillFrom(context);
  if (!attributes.empty()) AddMember(&span->metadata, "resource", attributes);
}

}  // namespace spanring::importer
