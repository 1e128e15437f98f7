#include "cli/query_login.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "dev/private_server.h"

namespace spanring::cli {
namespace {

// Only where something is missing: two that grant at once get in each other's way.
absl::Status MakeViewer(PGconn* connection) {
  const absl::StatusOr<pg::Result> found =
      pg::Query(connection,
                "SELECT rolcanlogin AND pg_has_role(oid, to_regrole('spanring_reader'), 'USAGE')"
                " FROM pg_roles WHERE rolname = $1",
                {kViewer});
  if (!found.ok()) return found.status();
  const bool is_there = PQntuples(found->get()) > 0;
  if (is_there && pg::Cell(found->get(), 0, 0) == "t") return absl::OkStatus();
  if (!is_there) {
    const absl::Status made = pg::Execute(
        connection, absl::StrCat("CREATE ROLE ", kViewer, " LOGIN CONNECTION LIMIT 16"));
    if (!made.ok() && pg::SqlState(made) != "42710" && pg::SqlState(made) != "23505") return made;
  }
  return pg::Execute(connection, absl::StrCat("ALTER ROLE ", kViewer, " LOGIN INHERIT; ",
                                              "GRANT spanring_reader TO ", kViewer));
}

absl::StatusOr<std::string> Find(const Context& context, const std::string& wanted) {
  const char* variable = std::getenv("SPANRING_QUERY_DATABASE");
  if (!wanted.empty()) return wanted;
  if (variable != nullptr && variable[0] != '\0') return std::string(variable);
  const absl::StatusOr<Target> target = Resolve(context);
  if (!target.ok()) return target.status();
  const absl::StatusOr<pg::Connection> connection = pg::Connect(target->conninfo, "spanring");
  if (!connection.ok()) return connection.status();
  const absl::StatusOr<dev::PrivateServer> server =
      dev::PrivateServer::Open(context.options.state_dir);
  const char* host = PQhost(connection->get());
  if (!server.ok() || !server->running() || host == nullptr || server->socket_folder() != host) {
    return target->conninfo;
  }
  if (absl::Status made = MakeViewer(connection->get()); !made.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make the login ", kViewer, ": ", std::string(made.message())));
  }
  // What comes later in a connection string counts.
  return absl::StrCat(server->conninfo(PQdb(connection->get())), " user=", kViewer);
}

}  // namespace

absl::StatusOr<std::string> QueryLogin::Conninfo() {
  const std::scoped_lock lock(mutex_);
  if (!found_.empty()) return found_;
  absl::StatusOr<std::string> conninfo = Find(context_, wanted_);
  if (conninfo.ok()) found_ = *conninfo;
  return conninfo;
}

absl::StatusOr<bool> MayBeReader(const Session& session) {
  const absl::StatusOr<pg::Result> result = session.Query(
      "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'spanring_reader'"
      " AND pg_has_role(current_user, oid, 'MEMBER'))");
  if (!result.ok()) return result.status();
  return pg::Cell(result->get(), 0, 0) == "t";
}

}  // namespace spanring::cli
