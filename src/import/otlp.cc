// OTLP's JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding, and what others
// make of it: ids in base64, "batches", names with underscores.
#include "import/otlp_spans.h"
#include "import/readers.h"

namespace spanring::importer {
namespace {

class OtlpReader : public JsonWalker {
 public:
  explicit OtlpReader(Sink* sink) : JsonWalker(sink), spans_(sink) {}

  // The spans that still wait, when the file ended too early.
  void TakeRest() { spans_.TakeRest(); }

 private:
  enum Role {
    kWrapper = 2,
    kResourceList,
    kResourceSpans,
    kResource,
    kScopeList,
    kScopeSpans,
    kScope,
    kSpans,
    kSpan,
    kNoList  // where one should be
  };

  static bool IsListOf(int parent, std::string_view key) {
    switch (parent) {
      case kDocument:
      case kWrapper:
        return key == "resourceSpans" || key == "batches" || key == "resource_spans";
      case kResourceSpans:
        return key == "scopeSpans" || key == "instrumentationLibrarySpans" ||
               key == "scope_spans" || key == "instrumentation_library_spans";
      default:
        return parent == kScopeSpans && key == "spans";
    }
  }

  Decision Enter(int parent, std::string_view key, bool is_array) override {
    const bool is_list = IsListOf(parent, key);
    if (is_list && !is_array) return {kNoList, true};
    switch (parent) {
      case kDocument:
      case kWrapper:  // {"trace": {"resourceSpans": ...}}, {"result": ...}
        return {is_list ? kResourceList : kWrapper};
      case kResourceList:
        if (is_array) return {};
        spans_.BeginResource();
        return {kResourceSpans};
      case kResourceSpans:
        if (key == "resource" && !is_array) return {kResource, true};
        return is_list ? Decision{kScopeList} : Decision{};
      case kScopeList:
        if (is_array) return {};
        spans_.BeginScope();
        return {kScopeSpans};
      case kScopeSpans:
        if (!is_array && (key == "scope" || key == "instrumentationLibrary" ||
                          key == "instrumentation_library")) {
          return {kScope, true};
        }
        return is_list ? Decision{kSpans} : Decision{};
      case kSpans:
        return {kSpan, true};
      default:
        return {};
    }
  }

  bool OnScalar(int parent, std::string_view key, Json&& value, Position position) override {
    if (IsListOf(parent, key) && !value.is_null()) sink().Refuse(position, kNoListText);
    if (parent == kSpans || parent == kScopeList || parent == kResourceList) {
      if (!value.is_null()) sink().Refuse(position, "it is no object");
    }
    if (parent == kDocument) sink().Refuse(position, "it is no object");
    return true;
  }

  bool OnValue(int role, Json&& value, Position position) override {
    if (role == kSpan) return spans_.Add(value, position);
    if (role == kNoList) {
      sink().Refuse(position, kNoListText);
    } else if (role == kScope) {
      spans_.SetScope(value);
    } else {
      spans_.SetResource(value);
    }
    return true;
  }

  bool OnLeave(int role) override {
    if (role == kScopeSpans) return spans_.EndScope();
    return role != kResourceSpans || spans_.EndResource();
  }

  static constexpr char kNoListText[] = "it is no list";
  OtlpSpans spans_;
};

}  // namespace

void ReadOtlp(Input* input, Sink* sink) {
  OtlpReader reader(sink);
  reader.Walk(input);
  reader.TakeRest();
}

}  // namespace spanring::importer
