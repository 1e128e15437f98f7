// Zipkin's JSON, version 2: https://zipkin.io/zipkin-api/#/default/get_trace__traceId_
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "import/attributes.h"
#include "import/readers.h"

namespace spanring::importer {
namespace {

constexpr std::int64_t kUs = 1000;

void ReadAnnotations(const Json* annotations, Json* events) {
  if (annotations == nullptr || !annotations->is_array()) return;
  for (const Json& annotation : *annotations) {
    Json event = Json::object();
    event["name"] = std::string(TextMember(annotation, "value"));
    std::int64_t time_ns = 0;
    if (const Json* time = Member(annotation, "timestamp")) {
      const auto time_us = IntegerOf(*time);
      if (time_us && !__builtin_mul_overflow(*time_us, kUs, &time_ns)) {
        event["time_unix_nano"] = time_ns;
      }
    }
    events->push_back(std::move(event));
  }
}

// Of a span that has no timestamp of its own, as one side of a call may send it.
std::optional<std::int64_t> FirstEvent(const Json& events) {
  std::optional<std::int64_t> first;
  for (const Json& event : events) {
    const Json* time = Member(event, "time_unix_nano");
    if (time == nullptr) continue;
    const auto time_ns = time->get<std::int64_t>();
    if (!first || time_ns < *first) first = time_ns;
  }
  return first;
}

void ReadTags(const Json* tags, Draft* draft) {
  if (tags == nullptr || !tags->is_object()) return;
  for (const auto& [key, value] : tags->items()) draft->attributes[key] = value;
  // Its presence alone says that the span failed; its value is the message, or nothing.
  const auto error = tags->find("error");
  draft->failed = error != tags->end() && TextOf(*error) != "false";
}

Resource ReadEndpoint(const Json* endpoint) {
  if (endpoint == nullptr) return Resource::From("", Json());
  Json attributes = Json::object();
  for (const char* name : {"ipv4", "ipv6", "port"}) {
    if (const Json* value = Member(*endpoint, name)) {
      attributes[absl::StrCat("net.host.", name)] = *value;
    }
  }
  return Resource::From(TextMember(*endpoint, "serviceName"), std::move(attributes));
}

class ZipkinReader : public JsonWalker {
 public:
  using JsonWalker::JsonWalker;

 private:
  enum Role { kTraces = 2, kTrace, kSpan };

  Decision Enter(int parent, std::string_view, bool is_array) override {
    if (!is_array) return {kSpan, true};
    if (parent == kDocument) return {kTraces};
    return parent == kTraces ? Decision{kTrace} : Decision{};
  }

  bool OnScalar(int, std::string_view, Json&&, Position position) override {
    sink().Refuse(position, "it is no object");
    return true;
  }

  bool OnLeave(int) override { return true; }

  bool OnValue(int, Json&& json, Position position) override {
    Draft draft;
    ReadTags(Member(json, "tags"), &draft);
    ReadAnnotations(Member(json, "annotations"), &draft.events);
    draft.SetIds(TextMember(json, "traceId"), TextMember(json, "id"), TextMember(json, "parentId"));
    if (draft.refusal.empty()) {
      const Json* timestamp = Member(json, "timestamp");
      const auto first = timestamp == nullptr ? FirstEvent(draft.events) : std::nullopt;
      if (first) {
        draft.span.start_ns = *first;
      } else {
        draft.SetStart(timestamp, kUs, "timestamp");
      }
    }
    if (draft.refusal.empty()) draft.SetDuration(Member(json, "duration"), kUs, "duration");
    if (!draft.refusal.empty()) {
      sink().Refuse(position, std::move(draft.refusal));
      return true;
    }
    draft.span.operation = NameText(TextMember(json, "name"));
    draft.SetKind(TextMember(json, "kind"));
    const Json* remote = Member(json, "remoteEndpoint");
    if (remote != nullptr && !remote->empty()) draft.attributes["remote"] = *remote;
    for (const char* flag : {"shared", "debug"}) {
      const Json* value = Member(json, flag);
      if (value != nullptr && *value == Json(true)) {
        draft.attributes[absl::StrCat("zipkin.", flag)] = true;
      }
    }
    draft.Finish();
    ReadEndpoint(Member(json, "localEndpoint")).ApplyTo(&draft.span);
    return sink().Take(draft.span);
  }
};

}  // namespace

void ReadZipkin(Input* input, Sink* sink) { ZipkinReader(sink).Walk(input); }

}  // namespace spanring::importer
