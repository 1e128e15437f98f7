// What came with a trace from another service or process, and what goes on to the next.
// Threads: values; any thread. FromEnvironment and ToEnvironment read the environment, which no
// thread may be changing.
// Memory: texts of its own; both of W3C's are bounded, at 16,447 and at 8,192 bytes.
// Errors: none; what is malformed is left out, and never passed on.
// Design: docs/architecture.md#propagation
//
//   const RemoteParent caller = RemoteParent::FromHeaders(lookup);
//   Span span = tracer.StartSpan(caller.context(), "router", "router.inference_request");
//   caller.ToHeaders(set, span.context());  // For the next service.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "spanring/config.h"
#include "spanring/id.h"

namespace spanring {

// The caller's context with its `tracestate` and `baggage`, which others read and we hand on.
//
// Nothing here depends on tracing being on or compiled in: where there is no span of ours, its
// context is not valid, and what came goes on as if this service were not there.
class RemoteParent {
 public:
  // tracestate: at most 32 members of at most 256 + 1 + 256 characters, and the commas between.
  // https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values
  static constexpr std::size_t kTracestateMembers = 32;
  static constexpr std::size_t kTracestateBytes = 16447;
  // baggage: what W3C asks to be passed on at least, and each of us does at most.
  // https://www.w3.org/TR/baggage/#limits
  static constexpr std::size_t kBaggageBytes = 8192;

  // No parent: spans of `context()` are roots.
  RemoteParent() = default;

  // Reads the three headers. `lookup` is called with each name in lower case and returns its value:
  // a string, a string_view, an optional of one, or a const char* that may be null. It finds names
  // in any case, and joins several lines of one name with commas, as HTTP has it.
  //
  // - A missing or malformed traceparent (SpanContext::FromTraceparent says which): no context, and
  //   no tracestate.
  // - A tracestate that is not of W3C's grammar, or of more than 32 members: none. Spaces around
  //   members and empty members are left out; what is in members stays as it came.
  // - baggage goes on unread, with or without a trace. With control characters, or others that are
  //   not ASCII: none. Of more than 8,192 bytes: the first members that fit.
  template <typename Lookup>
    requires std::invocable<Lookup&, std::string_view>
  static RemoteParent FromHeaders(Lookup&& lookup) {
    const auto traceparent = lookup(std::string_view("traceparent"));
    const auto tracestate = lookup(std::string_view("tracestate"));
    const auto baggage = lookup(std::string_view("baggage"));
    return RemoteParent(View(traceparent), View(tracestate), View(baggage));
  }
  // The same of TRACEPARENT, TRACESTATE and BAGGAGE, which the process that started this one left.
  SPANRING_EXPORT static RemoteParent FromEnvironment();

  // Not valid where there was none.
  const SpanContext& context() const noexcept { return context_; }
  const std::string& tracestate() const noexcept { return tracestate_; }
  const std::string& baggage() const noexcept { return baggage_; }

  // Calls `set(name, value)` with the headers of a request to the next service, made by a span of
  // that context, both texts as string_views; empty ones are left out. Where `span` is not valid
  // the caller's own context goes on. A span of another trace than the caller's takes no tracestate
  // along.
  template <typename Set>
    requires std::invocable<Set&, std::string_view, std::string_view>
  void ToHeaders(Set&& set, const SpanContext& span) const {
    const std::string traceparent = (span.is_valid() ? span : context_).ToTraceparent();
    if (!traceparent.empty()) set(std::string_view("traceparent"), std::string_view(traceparent));
    if (!TracestateFor(span).empty()) set(std::string_view("tracestate"), TracestateFor(span));
    if (!baggage_.empty()) set(std::string_view("baggage"), std::string_view(baggage_));
  }

  // The environment of a child process, "NAME=value" each, for execve and posix_spawn: this
  // process's own, with TRACEPARENT, TRACESTATE and BAGGAGE replaced by what ToHeaders would set.
  // What it would not set stays as this process inherited it, but for the TRACESTATE of a
  // TRACEPARENT that is replaced.
  SPANRING_EXPORT std::vector<std::string> ToEnvironment(const SpanContext& span) const;

 private:
  SPANRING_EXPORT RemoteParent(std::string_view traceparent, std::string_view tracestate,
                               std::string_view baggage);

  template <typename Value>
  static std::string_view View(const Value& value) {
    if constexpr (std::is_pointer_v<Value>) {
      return value == nullptr ? std::string_view() : std::string_view(value);
    } else if constexpr (std::is_convertible_v<const Value&, std::string_view>) {
      return value;
    } else {
      return value ? std::string_view(*value) : std::string_view();
    }
  }
  std::string_view TracestateFor(const SpanContext& span) const noexcept {
    if (span.is_valid() && span.trace_id != context_.trace_id) return {};
    return tracestate_;
  }

  SpanContext context_;
  std::string tracestate_;  // Of W3C's grammar, or empty.
  std::string baggage_;     // Printable ASCII, or empty.
};

}  // namespace spanring
