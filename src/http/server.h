// An HTTP/1.1 server for few, trusted and many slow clients: bounded in time, size and number.
// Threads: connections live on one thread of the server; handlers run on its workers, several at
//   once. Start, Stop and the destructor belong to the owner's thread.
// Memory: a connection holds one request and one response, compressed for those who take gzip.
// Errors: Start says why it cannot listen. A request that is none is answered with 400, 413 or
//   431, one that is too slow not at all; what a handler throws with 500.
// Design: docs/web.md
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "http/message.h"

namespace spanring::http {

// What the server itself refuses, as its clients want to be told. Of the request there is what was
// read: its headers where they are sound.
using Refusal = std::function<Response(const Request&, int status, std::string_view message)>;

struct ServerOptions {
  std::string address = "127.0.0.1";   // a number, not a name
  std::uint16_t port = 0;              // 0 = any free one
  const char* port_option = "--port";  // what to change when it is taken
  std::size_t workers = 8;             // handlers at the same time
  std::size_t max_waiting = 256;       // requests that wait for a worker; beyond: 503
  std::size_t max_connections = 512;   // beyond: closed at once
  std::size_t max_header_bytes = 16 * 1024;
  std::size_t max_body_bytes = 1024 * 1024;
  // Of answers that clients have not taken yet, all together; beyond: 503, but for one alone.
  std::size_t max_held_bytes = 256 * 1024 * 1024;
  std::chrono::milliseconds request_time{10'000};   // from a request's first byte to its last
  std::chrono::milliseconds response_time{30'000};  // to take all of a response
  std::chrono::milliseconds idle_time{60'000};      // between two requests
  std::chrono::milliseconds stop_time{5'000};       // for what is under way when it is stopped
  Refusal refusal = [](const Request&, int status, std::string_view message) {
    return ErrorResponse(status, message);
  };
};

// What the server counted since it began.
struct ServerCounts {
  std::uint64_t connections = 0;
  std::uint64_t connections_refused = 0;
  std::uint64_t requests = 0;
  std::uint64_t requests_refused = 0;  // malformed, too large, too slow, or no worker free
  std::uint64_t open_connections = 0;
};

// Called on a worker. What it throws is answered with 500.
using Handler = std::function<Response(const Request&)>;

class Server {
 public:
  // Listens and serves until Stop. FailedPrecondition: the address is taken or not ours.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                                     Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] ServerCounts counts() const;

  // Takes no more requests, lets those under way end within stop_time, closes all connections.
  // False where that was not enough: the destructor waits for handlers that are still at it.
  bool Stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace spanring::http
