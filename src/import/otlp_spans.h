// OTLP's resources, scopes and spans, each as its JSON has it, put together into spans: the same
// whether they came as JSON or as protobuf.
// Threads: one.
// Memory: spans that stand before their resource or scope are kept until that comes or ends, as
//   many as the sink lets wait; what these add is added to one at a time.
// Errors: told to the sink.
// Design: docs/operations.md#import
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "import/attributes.h"
#include "import/json_walker.h"
#include "import/span.h"

namespace spanring::importer {

class OtlpSpans {
 public:
  explicit OtlpSpans(Sink* sink) : sink_(*sink) {}
  OtlpSpans(const OtlpSpans&) = delete;
  OtlpSpans& operator=(const OtlpSpans&) = delete;

  // ResourceSpans, in which Resource and any number of ScopeSpans come in any order; in these the
  // scope and its spans.
  void BeginResource();
  void SetResource(const Json& resource);
  void BeginScope();
  void SetScope(const Json& scope);
  // False, here and below: the sink wants no more.
  bool Add(const Json& span, Position position);
  bool EndScope();
  bool EndResource() { return Deliver(); }

  // The spans that still wait, when what they came in ended too early.
  bool TakeRest();

 private:
  void ReadSpan(const Json& json, Position position);
  void ApplyScope();
  bool Deliver();

  Sink& sink_;
  Resource resource_;
  bool has_resource_ = false;
  using ScopeText = std::shared_ptr<const std::string>;  // Of a JSON object; nullptr: none.
  struct Waiting {
    Span span;
    ScopeText scope;
  };
  ScopeText scope_;
  bool has_scope_ = false;
  std::size_t first_of_scope_ = 0;
  std::deque<Waiting> waiting_;  // For their resource and scope.
};

}  // namespace spanring::importer
