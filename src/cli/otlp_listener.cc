#include "cli/otlp_listener.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/database.h"

namespace spanring::cli {
namespace {

// A handler has a connection of its own, so none waits for one.
constexpr std::size_t kConnections = 4;
// Exporters keep one each; a body of each may be in memory.
constexpr std::size_t kMostClients = 128;

struct Login {
  Target target;
  bool as_writer = false;
};

// No rights: better said now than to each request. The connection is not kept.
absl::StatusOr<Login> FindLogin(Context context, const std::string& wanted) {
  const char* variable = std::getenv("SPANRING_OTLP_DATABASE");
  if (!wanted.empty()) {
    context.options.database = wanted;
  } else if (variable != nullptr && variable[0] != '\0') {
    context.options.database = variable;
  }
  const absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<pg::Result> rights = session->Query(
      "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'spanring_writer'"
      " AND pg_has_role(current_user, oid, 'MEMBER')) AS as_writer,"
      " has_table_privilege('trace_spans', 'INSERT')"
      " AND has_table_privilege('trace_batches', 'INSERT')"
      " AND has_function_privilege("
      "'trace_writer_counted(uuid, bigint, bigint, jsonb, boolean)', 'EXECUTE') AS may_write");
  if (!rights.ok()) return rights.status();
  const bool as_writer = Field(*rights, 0, "as_writer") == "t";
  if (!as_writer && Field(*rights, 0, "may_write") != "t") {
    return absl::FailedPreconditionError(absl::StrCat(
        "no right to store spans in ", session->target().described,
        ": GRANT spanring_writer TO the user, or name another login with --otlp-database"));
  }
  return Login{.target = session->target(), .as_writer = as_writer};
}

}  // namespace

absl::StatusOr<std::unique_ptr<OtlpListener>> OtlpListener::Start(const Context& context,
                                                                  const ServeArguments& arguments,
                                                                  const http::Access& access) {
  absl::StatusOr<Login> login = FindLogin(context, arguments.otlp_database);
  if (!login.ok()) return login.status();
  std::unique_ptr<OtlpListener> listener(new OtlpListener({.conninfo = login->target.conninfo,
                                                           .as_writer = login->as_writer,
                                                           .version = SPANRING_VERSION,
                                                           .connections = kConnections},
                                                          access, login->target.described));
  absl::StatusOr<std::unique_ptr<http::Server>> server =
      http::Server::Start({.address = arguments.address,
                           .port = arguments.otlp_port,
                           .port_option = "--otlp-port",
                           .workers = kConnections,
                           .max_waiting = kMostClients / 2,
                           .max_connections = kMostClients,
                           .max_body_bytes = otlp::kMostBodyBytes,
                           .refusal = otlp::Refusal},
                          [receiver = &listener->receiver_](const http::Request& request) {
                            return receiver->Answer(request);
                          });
  if (!server.ok()) return server.status();
  listener->server_ = *std::move(server);
  listener->upkeep_ = std::make_unique<otlp::Upkeep>(
      otlp::UpkeepOptions{.conninfo = login->target.conninfo, .as_writer = login->as_writer},
      [receiver = &listener->receiver_] { return receiver->counts().spans_stored; },
      [](const std::string& line) { PrintNote(line); });
  return listener;
}

void OtlpListener::Stop() {
  if (server_ == nullptr || std::exchange(is_stopped_, true)) return;
  upkeep_.reset();
  // Who is not answered sends it again.
  if (!server_->Stop()) store_.Abort();
  store_.Close();
}

std::string OtlpListener::MetricsText() const {
  return otlp::MetricsText(receiver_.counts(), server_->counts());
}

}  // namespace spanring::cli
