// What `spanring serve --otlp` listens with for spans: its login, its connections, its port.
// Threads: one starts and stops it; MetricsText on any.
// Memory: owns all of it.
// Errors: FailedPrecondition when the login may not write, or the port is taken.
// Design: docs/web.md#spans-of-others
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "http/access.h"
#include "http/server.h"
#include "otlp/receiver.h"
#include "otlp/store.h"
#include "otlp/upkeep.h"

namespace spanring::cli {

class OtlpListener {
 public:
  // The login: --otlp-database, else SPANRING_OTLP_DATABASE, else that of everything else; with the
  // rights of spanring_writer alone where it may take that role.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<OtlpListener>> Start(
      const Context& context, const ServeArguments& arguments, const http::Access& access);
  ~OtlpListener() { Stop(); }
  OtlpListener(const OtlpListener&) = delete;
  OtlpListener& operator=(const OtlpListener&) = delete;

  // Takes no more; what is being stored has a moment to end.
  void Stop();

  std::uint16_t port() const { return server_->port(); }
  // `database "x" on host as user`
  const std::string& described() const { return described_; }
  [[nodiscard]] std::string MetricsText() const;

 private:
  OtlpListener(otlp::StoreOptions options, const http::Access& access, std::string described)
      : store_(std::move(options)), receiver_(&store_, access), described_(std::move(described)) {}

  otlp::Store store_;
  otlp::Receiver receiver_;
  const std::string described_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<otlp::Upkeep> upkeep_;
  bool is_stopped_ = false;
};

}  // namespace spanring::cli
