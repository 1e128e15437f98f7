// Jaeger's JSON, as its query service and its UI export it:
// https://github.com/jaegertracing/jaeger/blob/main/internal/uimodel/model.go
#include <deque>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "import/attributes.h"
#include "import/readers.h"

namespace spanring::importer {
namespace {

constexpr std::int64_t kUs = 1000;

// Numbers and booleans are exported as such, or as strings beside their type.
Json TagValue(const Json& tag) {
  const Json* value = Member(tag, "value");
  if (value == nullptr) return Json();
  if (!value->is_string()) return *value;
  const std::string_view type = TextMember(tag, "type");
  const std::string& text = value->get_ref<const std::string&>();
  std::int64_t integer = 0;
  double number = 0;
  if (type == "int64" && absl::SimpleAtoi(text, &integer)) return Json(integer);
  if (type == "float64" && absl::SimpleAtod(text, &number) && number - number == 0) {
    return Json(number);
  }
  if (type == "bool" && (text == "true" || text == "false")) return Json(text == "true");
  return *value;
}

void ReadTags(const Json* tags, Json* attributes) {
  if (tags == nullptr || !tags->is_array()) return;
  for (const Json& tag : *tags) {
    if (const std::string_view key = TextMember(tag, "key"); !key.empty()) {
      (*attributes)[std::string(key)] = TagValue(tag);
    }
  }
}

void ReadLogs(const Json* logs, Json* events) {
  if (logs == nullptr || !logs->is_array()) return;
  for (const Json& log : *logs) {
    Json event = Json::object();
    Json fields = Json::object();
    ReadTags(Member(log, "fields"), &fields);
    if (const std::string_view name = TextMember(fields, "event"); !name.empty()) {
      event["name"] = std::string(name);
      // As OpenTracing logs an error; the rest of its convention has the names we know.
      if (absl::EqualsIgnoreCase(std::string(name), "error") && fields.contains("message") &&
          !fields.contains("exception.message")) {
        fields["exception.message"] = fields["message"];
      }
      fields.erase("event");
    }
    std::int64_t time_ns = 0;
    if (const Json* time = Member(log, "timestamp")) {
      const auto time_us = IntegerOf(*time);
      if (time_us && !__builtin_mul_overflow(*time_us, kUs, &time_ns)) {
        event["time_unix_nano"] = time_ns;
      }
    }
    if (!fields.empty()) event["attributes"] = std::move(fields);
    events->push_back(std::move(event));
  }
}

Resource ReadProcess(const Json& process) {
  Json attributes = Json::object();
  ReadTags(Member(process, "tags"), &attributes);
  return Resource::From(TextMember(process, "serviceName"), std::move(attributes));
}

// The first CHILD_OF in the span's own trace, else the first FOLLOWS_FROM there, is the parent:
// model.Span.ParentSpanID() in Jaeger. The others are links.
// `exact`: what only follows is no parent.
std::string ReadReferences(const Json& json, std::string_view trace, bool exact, Json* links) {
  std::string_view child_of;
  std::string_view follows;
  const Json* references = Member(json, "references");
  if (references != nullptr && references->is_array()) {
    for (const Json& reference : *references) {
      const std::string_view other = TextMember(reference, "traceID");
      const std::string_view span = TextMember(reference, "spanID");
      const std::string_view type = TextMember(reference, "refType");
      const bool same_trace = other.empty() || other == trace;
      if (same_trace && type == "CHILD_OF" && child_of.empty()) {
        child_of = span;
      } else {
        if (same_trace && type == "FOLLOWS_FROM" && follows.empty()) follows = span;
        links->push_back({{"trace_id", other}, {"span_id", span}, {"ref_type", type}});
      }
    }
  }
  if (!child_of.empty()) return std::string(child_of);
  if (!follows.empty() && !exact) return std::string(follows);
  return std::string(TextMember(json, "parentSpanID"));
}

class JaegerReader : public JsonWalker {
 public:
  using JsonWalker::JsonWalker;

  // The spans that still wait, when the file ended too early.
  void TakeRest() { TakeWaiting(); }

 private:
  enum Role { kTraces = 2, kTrace, kSpans, kSpan, kProcesses };

  Decision Enter(int parent, std::string_view key, bool is_array) override {
    if (parent == kDocument && key.empty()) return {is_array ? kTraces : kTrace};
    // {"data": ...} is taken for a trace until that comes.
    if (parent == kTrace && key == "data") return {is_array ? kTraces : kTrace};
    if (parent == kTraces && !is_array) return {kTrace};
    if (parent == kTrace && key == "spans" && is_array) return {kSpans};
    if (parent == kTrace && key == "processes" && !is_array) return {kProcesses, true};
    if (parent == kSpans) return {kSpan, true};
    return {};
  }

  bool OnScalar(int parent, std::string_view key, Json&& value, Position position) override {
    if (parent == kTrace && key == "traceID" && value.is_string()) {
      trace_id_ = value.get<std::string>();
    }
    if (parent == kSpans || parent == kTraces) sink().Refuse(position, "it is no object");
    if (parent == kDocument) sink().Refuse(position, "it is no trace");
    return true;
  }

  bool LeavesOut(std::string_view key) const override {
    return key == "span";  // references[].span: the parent once more.
  }

  bool OnValue(int role, Json&& value, Position position) override {
    if (role == kSpan) return ReadSpan(value, position);
    for (const auto& [id, process] : value.items()) processes_[id] = ReadProcess(process);
    has_processes_ = true;
    return TakeWaiting();
  }

  bool OnLeave(int role) override {
    if (role != kTrace) return true;
    const bool more = TakeWaiting();
    processes_.clear();
    has_processes_ = false;
    trace_id_.clear();
    return more;
  }

  bool ReadSpan(const Json& json, Position position) {
    if (!json.is_object()) {
      sink().Refuse(position, "it is no object");
      return true;
    }
    Draft draft;
    ReadTags(Member(json, "tags"), &draft.attributes);
    ReadLogs(Member(json, "logs"), &draft.events);
    const std::string_view own_trace = TextMember(json, "traceID");
    const std::string_view trace = own_trace.empty() ? std::string_view(trace_id_) : own_trace;
    const bool exact = draft.attributes.contains("spanring.status");
    const std::string parent = ReadReferences(json, trace, exact, &draft.links);
    draft.SetIds(trace, TextMember(json, "spanID"), parent);
    if (draft.refusal.empty()) draft.SetStart(Member(json, "startTime"), kUs, "startTime");
    if (draft.refusal.empty()) draft.SetDuration(Member(json, "duration"), kUs, "duration");
    if (!draft.refusal.empty()) {
      sink().Refuse(position, std::move(draft.refusal));
      return true;
    }
    draft.span.operation = NameText(TextMember(json, "operationName"));
    if (const std::string_view kind = TextMember(draft.attributes, "span.kind"); !kind.empty()) {
      draft.SetKind(std::string(kind));
    }
    if (const Json* warnings = Member(json, "warnings")) {
      if (!warnings->empty()) draft.attributes["jaeger.warnings"] = *warnings;
    }
    draft.Finish();
    if (const Json* process = Member(json, "process")) {
      ReadProcess(*process).ApplyTo(&draft.span);
      return sink().Take(draft.span);
    }
    const std::string_view process = TextMember(json, "processID");
    if (has_processes_) return TakeOf(&draft.span, std::string(process));
    waiting_.emplace_back(std::move(draft.span), process);
    return true;
  }

  bool TakeOf(Span* span, const std::string& process) {
    static const Resource kUnknown = Resource::From("", Json());
    const auto found = processes_.find(process);
    (found == processes_.end() ? kUnknown : found->second).ApplyTo(span);
    return sink().Take(*span);
  }

  bool TakeWaiting() {
    bool more = true;
    for (auto& [span, process] : waiting_) more = more && TakeOf(&span, process);
    waiting_.clear();
    return more;
  }

  std::string trace_id_;
  std::map<std::string, Resource> processes_;
  bool has_processes_ = false;
  std::deque<std::pair<Span, std::string>> waiting_;  // For the processes.
};

}  // namespace

void ReadJaeger(Input* input, Sink* sink) {
  JaegerReader reader(sink);
  reader.Walk(input);
  reader.TakeRest();
}

}  // namespace spanring::importer
