// Carries the current span into a task that runs later, elsewhere.
// Threads: bind on one thread, call on any; one call at a time where the callable asks for that.
// Memory: no allocation; a bound callable is the callable and 32 bytes, by value.
// Errors: none of its own; what the callable throws passes through.
// Design: docs/architecture.md#tasks
//
//   pool.Submit(spanring::BindContext([&] { ... }));  // Spans in there are children of this one's.
#pragma once

#include <functional>
#include <type_traits>
#include <utility>

#include "spanring/config.h"
#include "spanring/id.h"
#include "spanring/span.h"
#include "spanring/tracer.h"

namespace spanring {
inline namespace SPANRING_ABI {

// What BindContext returns: copyable where F is, and callable as F is, with F's exceptions.
template <typename F>
class BoundToContext {
 public:
  template <typename G>
    requires std::is_constructible_v<F, G>
  BoundToContext(const SpanContext& context, G&& f) noexcept(std::is_nothrow_constructible_v<F, G>)
      : context_(Keep(context)), f_(std::forward<G>(f)) {}

  template <typename... Args>
    requires std::is_invocable_v<F&, Args...>
  decltype(auto) operator()(Args&&... args) & noexcept(std::is_nothrow_invocable_v<F&, Args...>) {
    return Call(context_, f_, std::forward<Args>(args)...);
  }
  template <typename... Args>
    requires std::is_invocable_v<const F&, Args...>
  decltype(auto) operator()(Args&&... args) const& noexcept(
      std::is_nothrow_invocable_v<const F&, Args...>) {
    return Call(context_, f_, std::forward<Args>(args)...);
  }
  template <typename... Args>
    requires std::is_invocable_v<F, Args...>
  decltype(auto) operator()(Args&&... args) && noexcept(std::is_nothrow_invocable_v<F, Args...>) {
    return Call(context_, std::move(f_), std::forward<Args>(args)...);
  }

 private:
  struct Nothing {};
  using Kept = std::conditional_t<kCompiledIn, SpanContext, Nothing>;

  static constexpr Kept Keep([[maybe_unused]] const SpanContext& context) noexcept {
    if constexpr (kCompiledIn) {
      return context;
    } else {
      return {};
    }
  }
  template <typename G, typename... Args>
  static decltype(auto) Call([[maybe_unused]] const Kept& context, G&& f,
                             Args&&... args) noexcept(std::is_nothrow_invocable_v<G, Args...>) {
    if constexpr (kCompiledIn) {
      const Scope scope(context);
      return std::invoke(std::forward<G>(f), std::forward<Args>(args)...);
    } else {
      return std::invoke(std::forward<G>(f), std::forward<Args>(args)...);
    }
  }

  [[no_unique_address]] Kept context_;
  [[no_unique_address]] F f_;
};

// A callable that runs `f` under a Scope of the context that is current now: the span's, also when
// it has ended by then. Where none is current, or tracing is off, `f` runs as it is.
template <typename F>
[[nodiscard]] auto BindContext(F&& f) noexcept(
    std::is_nothrow_constructible_v<std::decay_t<F>, F>) {
  return BoundToContext<std::decay_t<F>>(Tracer().CurrentContext(), std::forward<F>(f));
}

}  // namespace SPANRING_ABI
}  // namespace spanring
