// OTLP/HTTP, traces: https://opentelemetry.io/docs/specs/otlp/#otlphttp. POST /v1/traces, in JSON
// or protobuf, is answered when its spans are committed. Threads: any, several at once. Memory: of
// each request its body, what that is uncompressed, and the rows made of it. Errors: an answer in
// the request's form; what may be sent again is 503 with Retry-After. Design:
// docs/web.md#spans-of-others
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "http/access.h"
#include "http/message.h"
#include "http/server.h"
#include "otlp/rows.h"
#include "otlp/store.h"

namespace spanring::otlp {

// As it is sent, and when it is uncompressed.
inline constexpr std::size_t kMostBodyBytes = std::size_t{8} * 1024 * 1024;
inline constexpr std::size_t kMostPlainBytes = std::size_t{16} * 1024 * 1024;

// Of requests that came to Answer since the process began.
struct ReceiverCounts {
  std::uint64_t requests = 0;
  std::uint64_t repeated = 0;     // Their spans had been stored before.
  std::uint64_t refused = 0;      // No trace request, too large, or by nobody who may ask: 4xx.
  std::uint64_t unavailable = 0;  // The database took nothing: 503.
  std::uint64_t spans_stored = 0;
  std::uint64_t spans_malformed = 0;
  std::uint64_t spans_rejected = 0;  // By the database.
};

class Receiver {
 public:
  // `store` outlives it.
  Receiver(Store* store, http::Access access) : store_(store), access_(std::move(access)) {}

  [[nodiscard]] http::Response Answer(const http::Request& request);
  [[nodiscard]] ReceiverCounts counts() const;

 private:
  http::Response Route(const http::Request& request);
  http::Response Keep(Form form, const http::Request& request);

  Store* const store_;
  const http::Access access_;
  mutable std::mutex mutex_;
  ReceiverCounts counts_;  // Guarded by mutex_.
};

// What the server refuses itself, as Receiver says it.
[[nodiscard]] http::Response Refusal(const http::Request& request, int status,
                                     std::string_view message);

// For Prometheus; `server` of the server that the receiver answers for.
[[nodiscard]] std::string MetricsText(const ReceiverCounts& counts,
                                      const http::ServerCounts& server);

}  // namespace spanring::otlp
