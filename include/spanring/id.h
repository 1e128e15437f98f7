// Trace and span identifiers, and the context that travels between services.
// Threads: values; any thread.
// Memory: no allocation, except for the functions that return std::string.
// Errors: parsers return nullopt for anything that is not of their form.
// Design: docs/architecture.md#identity
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "spanring/config.h"

namespace spanring {

// 128 bits: a UUID in SQL and in the API, 32 lower-case hex digits in a traceparent.
class TraceId {
 public:
  // The nil id, which names no trace.
  constexpr TraceId() = default;
  // `high` holds the first eight bytes of the UUID, `low` the last eight, both big-endian.
  constexpr TraceId(std::uint64_t high, std::uint64_t low) : high_(high), low_(low) {}

  // Reads a UUID (8-4-4-4-12, hyphens optional, any case). nullopt for anything else.
  SPANRING_EXPORT static std::optional<TraceId> Parse(std::string_view text) noexcept;

  // "0192f0c1-7d3e-7a2b-8c4d-5e6f708192a3"
  SPANRING_EXPORT std::string ToUuid() const;
  // "0192f0c17d3e7a2b8c4d5e6f708192a3"
  SPANRING_EXPORT std::string ToHex() const;

  constexpr std::uint64_t high() const { return high_; }
  constexpr std::uint64_t low() const { return low_; }
  constexpr bool is_nil() const { return (high_ | low_) == 0; }
  friend constexpr bool operator==(const TraceId&, const TraceId&) = default;

 private:
  std::uint64_t high_ = 0;
  std::uint64_t low_ = 0;
};

// 64 bits as W3C has it. In SQL: a uuid whose low half is this number and whose high half is 0.
class SpanId {
 public:
  // The nil id, which as a parent means: none.
  constexpr SpanId() = default;
  constexpr explicit SpanId(std::uint64_t value) : value_(value) {}

  // Reads 16 hex digits, any case. nullopt for anything else.
  SPANRING_EXPORT static std::optional<SpanId> Parse(std::string_view text) noexcept;
  // "00f067aa0ba902b7"
  SPANRING_EXPORT std::string ToHex() const;

  constexpr std::uint64_t value() const { return value_; }
  constexpr bool is_nil() const { return value_ == 0; }
  friend constexpr bool operator==(const SpanId&, const SpanId&) = default;

 private:
  std::uint64_t value_ = 0;
};

// What a child needs to know of its parent, in this process or in another.
struct SpanContext {
  TraceId trace_id;
  SpanId span_id;
  bool sampled = true;

  // False when there is no span to be a child of, as when tracing is off.
  constexpr bool is_valid() const { return !trace_id.is_nil() && !span_id.is_nil(); }

  // Reads a W3C traceparent, "00-<trace id>-<span id>-<flags>"; of a version above 00 the fields
  // that are known are taken, as https://www.w3.org/TR/trace-context/#versioning-of-traceparent
  // asks. nullopt for a malformed header, a nil id or version ff.
  SPANRING_EXPORT static std::optional<SpanContext> FromTraceparent(
      std::string_view header) noexcept;
  // The W3C traceparent of this context; "" when it is not valid.
  SPANRING_EXPORT std::string ToTraceparent() const;

  friend constexpr bool operator==(const SpanContext&, const SpanContext&) = default;
};

}  // namespace spanring
