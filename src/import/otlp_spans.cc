#include "import/otlp_spans.h"

#include <array>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace spanring::importer {
namespace {

// By its name, or by the one with underscores.
const Json* Field(const Json& object, const char* name, const char* other) {
  const Json* value = Member(object, name);
  return value != nullptr ? value : Member(object, other);
}

std::string_view TextField(const Json& object, const char* name, const char* other) {
  const std::string_view text = TextMember(object, name);
  return text.empty() ? TextMember(object, other) : text;
}

Json AttributesOf(const Json* list);

// AnyValue. Its depth is bounded by the walker's.
Json ValueOf(const Json& any) {
  if (const Json* text = Field(any, "stringValue", "string_value")) return *text;
  if (const Json* truth = Field(any, "boolValue", "bool_value")) return *truth;
  if (const Json* number = Field(any, "intValue", "int_value")) {
    const auto integer = IntegerOf(*number);
    return integer ? Json(*integer) : *number;
  }
  if (const Json* number = Field(any, "doubleValue", "double_value")) return *number;
  if (const Json* bytes = Field(any, "bytesValue", "bytes_value")) return *bytes;
  if (const Json* array = Field(any, "arrayValue", "array_value")) {
    Json values = Json::array();
    if (const Json* list = Member(*array, "values"); list != nullptr && list->is_array()) {
      for (const Json& value : *list) values.push_back(ValueOf(value));
    }
    return values;
  }
  if (const Json* pairs = Field(any, "kvlistValue", "kvlist_value")) {
    return AttributesOf(Member(*pairs, "values"));
  }
  return Json();
}

// [{"key", "value"}], or nullptr.
Json AttributesOf(const Json* list) {
  Json attributes = Json::object();
  if (list == nullptr || !list->is_array()) return attributes;
  for (const Json& attribute : *list) {
    const std::string_view key = TextMember(attribute, "key");
    const Json* value = Member(attribute, "value");
    if (!key.empty()) attributes[std::string(key)] = value != nullptr ? ValueOf(*value) : Json();
  }
  return attributes;
}

Json AttributesIn(const Json& object) { return AttributesOf(Member(object, "attributes")); }

// A number that may be one in words: 2, "2", "SPAN_KIND_SERVER". Protobuf's have 32 bits.
std::string EnumText(const Json* value) {
  if (value == nullptr) return "";
  if (const auto number = IntegerOf(*value)) return absl::StrCat(static_cast<int>(*number));
  return value->is_string() ? value->get<std::string>() : "";
}

std::string KindOf(const Json* value) {
  static constexpr std::array<const char*, 6> kKinds = {"",       "internal", "server",
                                                        "client", "producer", "consumer"};
  std::string text = EnumText(value);
  int number = 0;
  if (!absl::SimpleAtoi(text, &number)) return text;
  return number >= 0 && number < static_cast<int>(kKinds.size())
             ? kKinds[static_cast<std::size_t>(number)]
             : "";
}

void ReadEvents(const Json* list, Json* events) {
  if (list == nullptr || !list->is_array()) return;
  for (const Json& one : *list) {
    Json event = Json::object();
    if (const std::string_view name = TextMember(one, "name"); !name.empty()) event["name"] = name;
    if (const Json* time = Field(one, "timeUnixNano", "time_unix_nano")) {
      if (const auto time_ns = IntegerOf(*time)) event["time_unix_nano"] = *time_ns;
    }
    if (Json attributes = AttributesIn(one); !attributes.empty()) {
      event["attributes"] = std::move(attributes);
    }
    events->push_back(std::move(event));
  }
}

void ReadLinks(const Json* list, Json* links) {
  if (list == nullptr || !list->is_array()) return;
  for (const Json& one : *list) {
    Json link = Json::object();
    if (const auto id = ParseTraceId(TextField(one, "traceId", "trace_id"), /*base64=*/true)) {
      link["trace_id"] = id->id.ToHex();
    }
    if (const auto id = ParseSpanId(TextField(one, "spanId", "span_id"), /*base64=*/true)) {
      link["span_id"] = SpanId(id->id.low()).ToHex();
    }
    if (Json attributes = AttributesIn(one); !attributes.empty()) {
      link["attributes"] = std::move(attributes);
    }
    links->push_back(std::move(link));
  }
}

void ReadStatus(const Json* status, Draft* draft) {
  if (status == nullptr) return;
  const std::string code = EnumText(Member(*status, "code"));
  draft->failed = code == "2" || code == "STATUS_CODE_ERROR" || code == "ERROR";
  draft->message = TextMember(*status, "message");
}

void ReadTimes(const Json& json, Draft* draft) {
  const Json* start = Field(json, "startTimeUnixNano", "start_time_unix_nano");
  // 0: none is known. It is also what protobuf does not write.
  if (start != nullptr && IntegerOf(*start) == 0) start = nullptr;
  draft->SetStart(start, 1, "startTimeUnixNano");
  const Json* end = Field(json, "endTimeUnixNano", "end_time_unix_nano");
  if (!draft->refusal.empty() || end == nullptr) return;
  const auto end_ns = IntegerOf(*end);
  if (!end_ns) {
    draft->refusal = "endTimeUnixNano is no time";
  } else if (*end_ns != 0) {  // 0: it has not ended.
    draft->SetEnd(*end_ns);
  }
}

// What the scope adds to each of its spans.
std::string TextOfScope(const Json& scope) {
  Json text = AttributesIn(scope);
  for (const char* name : {"name", "version"}) {
    if (const std::string_view value = TextMember(scope, name); !value.empty()) text[name] = value;
  }
  return text.empty() ? "" : JsonText(text);
}

}  // namespace

void OtlpSpans::BeginResource() {
  resource_ = Resource::From("", Json());
  has_resource_ = false;
}

void OtlpSpans::SetResource(const Json& resource) {
  resource_ = Resource::From("", AttributesIn(resource));
  has_resource_ = true;
}

void OtlpSpans::BeginScope() {
  scope_.reset();
  has_scope_ = false;
  first_of_scope_ = waiting_.size();
}

void OtlpSpans::SetScope(const Json& scope) {
  std::string text = TextOfScope(scope);
  scope_ = text.empty() ? nullptr : std::make_shared<const std::string>(std::move(text));
  has_scope_ = true;
}

bool OtlpSpans::Add(const Json& span, Position position) {
  ReadSpan(span, position);
  // Bounded where the resource comes first, as it does in practice, and the scope too.
  return has_resource_ && has_scope_ ? TakeRest() : sink_.MayWait(waiting_.size());
}

bool OtlpSpans::EndScope() {
  ApplyScope();
  return !has_resource_ || Deliver();
}

bool OtlpSpans::TakeRest() {
  ApplyScope();
  return Deliver();
}

void OtlpSpans::ApplyScope() {
  for (std::size_t i = first_of_scope_; i < waiting_.size(); ++i) waiting_[i].scope = scope_;
  first_of_scope_ = waiting_.size();
}

// A resource may be as long as a million spans: no two have it at once.
bool OtlpSpans::Deliver() {
  bool more = true;
  for (; more && !waiting_.empty(); waiting_.pop_front()) {
    auto& [span, scope] = waiting_.front();
    if (scope != nullptr && !span.is_whole) AddMember(&span.metadata, "scope", *scope);
    resource_.ApplyTo(&span);
    more = sink_.Take(span);
  }
  waiting_.clear();
  first_of_scope_ = 0;
  return more;
}

void OtlpSpans::ReadSpan(const Json& json, Position position) {
  if (!json.is_object()) return sink_.Refuse(position, "it is no object");
  Draft draft;
  draft.attributes = AttributesIn(json);
  draft.SetIds(TextField(json, "traceId", "trace_id"), TextField(json, "spanId", "span_id"),
               TextField(json, "parentSpanId", "parent_span_id"), /*base64=*/true);
  if (draft.refusal.empty()) ReadTimes(json, &draft);
  if (!draft.refusal.empty()) return sink_.Refuse(position, std::move(draft.refusal));
  draft.span.operation = NameText(TextMember(json, "name"));
  draft.SetKind(KindOf(Member(json, "kind")));
  ReadEvents(Member(json, "events"), &draft.events);
  ReadLinks(Member(json, "links"), &draft.links);
  ReadStatus(Member(json, "status"), &draft);
  if (const std::string_view state = TextField(json, "traceState", "trace_state"); !state.empty()) {
    draft.attributes["trace_state"] = state;
  }
  draft.Finish();
  waiting_.push_back({std::move(draft.span), nullptr});
}

}  // namespace spanring::importer
