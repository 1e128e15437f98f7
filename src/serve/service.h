// Answers requests: who may ask (Host, token), what (routes), and how it is sent (ETag, security
// headers). It asks the database and computes nothing.
// Threads: any, several at once.
// Memory: the reader outlives the service.
// Errors: every failure is a response, {"error": {...}}, with what to do.
// Design: docs/web.md
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "answers/reader.h"
#include "http/access.h"
#include "http/message.h"
#include "http/server.h"

namespace spanring::serve {

struct ServiceOptions {
  std::string token;               // "" = none asked for
  std::vector<std::string> hosts;  // names by which it may be called, beside those of this machine
  std::function<http::ServerCounts()> counts;                         // of the server, for /metrics
  std::function<http::Response(const http::Request&)> mcp = nullptr;  // all of /mcp, if it is there
  std::function<std::string()> more_metrics = nullptr;                // of what else listens
};

class Service {
 public:
  Service(answers::Reader* reader, ServiceOptions options)
      : reader_(reader),
        options_(std::move(options)),
        access_{.token = options_.token, .hosts = options_.hosts} {}

  [[nodiscard]] http::Response Answer(const http::Request& request);

 private:
  http::Response Route(const http::Request& request);

  answers::Reader* const reader_;
  const ServiceOptions options_;
  const http::Access access_;
};

// A failed question as a response: 400 what was asked, 404, 503 with what an operator must do, 504.
[[nodiscard]] http::Response FailureResponse(const absl::Status& status);

// The routes below /api/v1, of Jaeger's API, and for machines. NotFound where there is no such
// path.
[[nodiscard]] absl::StatusOr<std::string> ApiAnswer(answers::Reader* reader,
                                                    const http::Request& request);
[[nodiscard]] absl::StatusOr<std::string> JaegerAnswer(answers::Reader* reader,
                                                       const http::Request& request);
// A failure in the envelope of the version of Jaeger's API that was asked.
[[nodiscard]] http::Response JaegerFailure(const http::Request& request, http::Response response);
[[nodiscard]] absl::StatusOr<std::string> Metrics(answers::Reader* reader,
                                                  const http::ServerCounts& counts);

}  // namespace spanring::serve
