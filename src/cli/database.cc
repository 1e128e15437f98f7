#include "cli/database.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/render/text.h"
#include "dev/private_server.h"
#include "pg/handles.h"

namespace spanring::cli {
namespace {

constexpr char kDevSource[] = "the dev server";

bool IsSet(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && value[0] != '\0';
}

bool IsPlainName(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
}

// With libpq's defaults and environment filled in; empty when it cannot be parsed.
std::map<std::string, std::string> Parsed(const std::string& conninfo) {
  using Options = std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)>;
  std::map<std::string, std::string> values;
  const Options defaults(PQconndefaults(), PQconninfoFree);
  // The reason may quote the string, password and all: it is not asked for.
  const Options given(PQconninfoParse(conninfo.c_str(), nullptr), PQconninfoFree);
  if (given == nullptr) return values;
  for (const PQconninfoOption* list : {defaults.get(), given.get()}) {
    for (const PQconninfoOption* option = list; option && option->keyword; ++option) {
      if (option->val != nullptr) values[option->keyword] = option->val;
    }
  }
  return values;
}

std::string Described(std::map<std::string, std::string> values) {
  const std::string user = values["user"];
  const std::string database = values["dbname"].empty() ? user : values["dbname"];
  std::string host = values["host"].empty() ? values["hostaddr"] : values["host"];
  if (!values["service"].empty()) return absl::StrCat("service \"", values["service"], "\"");
  if (host.empty()) host = "the local socket";
  const bool socket = host[0] == '/' || host == "the local socket";
  return absl::StrCat("database \"", database, "\" on ", host,
                      socket || values["port"].empty() ? "" : ":" + values["port"], " as ", user);
}

absl::StatusOr<Target> MakeTarget(std::string conninfo, std::string source) {
  if (IsPlainName(conninfo)) conninfo = "dbname=" + conninfo;
  const bool looks_right = conninfo.find('=') != std::string::npos ||
                           conninfo.starts_with("postgresql://") ||
                           conninfo.starts_with("postgres://");
  std::map<std::string, std::string> values = Parsed(conninfo);
  // Of what is torn nothing may be shown: parts of a password may be anywhere.
  if ((!looks_right && !conninfo.empty()) || values.empty() || !pg::FaultOf(conninfo).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(source,
                     " is not a connection string: write it as "
                     "postgresql://USER@HOST:PORT/DATABASE (special characters as %XX) or "
                     "as host=... dbname=..."));
  }
  Target target{
      .conninfo = std::move(conninfo), .source = std::move(source), .described = "", .missing = ""};
  target.described = Described(std::move(values));
  return target;
}

std::string Advice(const std::string& reason, const Target& target) {
  const auto says = [&reason](const char* text) { return reason.find(text) != std::string::npos; };
  if (says("password") || says("authentication")) {
    return absl::StrCat("check the user and password in ", target.source, " or ~/.pgpass");
  }
  if (says("translate host name")) return absl::StrCat("check the host name in ", target.source);
  if (says("timeout expired")) return "check host, port and the firewall between";
  if (!target.missing.empty()) return target.missing;
  if (says("refused") || says("No such file")) {
    return absl::StrCat("check that the server runs there, and host and port in ", target.source);
  }
  if (says("does not exist"))
    return absl::StrCat("create it, or check the name in ", target.source);
  if (says("SSL") || says("certificate")) return "check sslmode and the certificates";
  return absl::StrCat("check ", target.source);
}

}  // namespace

absl::StatusOr<Target> Resolve(const Context& context) {
  std::string chosen = context.options.database;
  std::string source = "--database";
  if (chosen.empty() && IsSet("DATABASE_URL")) {
    chosen = std::getenv("DATABASE_URL");
    source = "DATABASE_URL";
  }
  const bool only_name = source == "--database" && IsPlainName(chosen);
  if (!chosen.empty() && !only_name) return MakeTarget(chosen, source);
  const char* const variables[] = {"PGHOST", "PGHOSTADDR", "PGSERVICE",
                                   "PGPORT", "PGDATABASE", "PGUSER"};
  const bool any_set = std::any_of(std::begin(variables), std::end(variables), IsSet);
  if (any_set && (!only_name || IsSet("PGHOST") || IsSet("PGHOSTADDR") || IsSet("PGSERVICE"))) {
    return MakeTarget(chosen, only_name ? source : "the PG* variables");
  }
  absl::StatusOr<dev::PrivateServer> server = dev::PrivateServer::Open(context.options.state_dir);
  if (server.ok() && server->running()) {
    absl::StatusOr<Target> target =
        MakeTarget(server->conninfo(only_name ? chosen : kDevDatabase), kDevSource);
    return target;
  }
  if (only_name) {
    absl::StatusOr<Target> target = MakeTarget(chosen, source);
    if (target.ok() && server.ok()) {
      target->missing =
          absl::StrCat("a name alone is looked for on the dev server, and none runs in ",
                       server->state_dir(), ": start it (", context.Copyable("dev up"),
                       "), name its folder (--state), or give a URL");
    }
    return target;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("no database: set DATABASE_URL, give --database URL, or start a private one: ",
                   context.Copyable("dev up")));
}

absl::StatusOr<pg::Connection> Connect(const Target& target) {
  if (target.source == kDevSource) {
    PrintNote(absl::StrCat("using ", target.source, ": ", target.described));
  }
  absl::StatusOr<pg::Connection> connection = pg::Connect(target.conninfo, "spanring");
  if (connection.ok()) return connection;
  const std::string reason(connection.status().message());
  return absl::UnavailableError(absl::StrCat("cannot connect to ", target.described, ": ", reason,
                                             ": ", Advice(reason, target)));
}

absl::Status Explain(const Context& context, const Target& target, const absl::Status& status) {
  const std::string_view code = pg::SqlState(status);
  if (code == "42P01" || code == "42883" || code == "42703" || code == "3F000") {
    const bool is_dev = target.source == kDevSource && context.options.database.empty();
    return absl::FailedPreconditionError(
        absl::StrCat("the tracing schema is missing or too old in ", target.described,
                     ": run: ", context.Copyable("migrate"),
                     is_dev ? "; the demo's spans are in another database: -d spanring_demo" : ""));
  }
  if (code == "42501") {
    return absl::FailedPreconditionError(absl::StrCat(
        std::string(status.message()), ": ask for the role: GRANT spanring_reader TO the user"));
  }
  if (status.code() == absl::StatusCode::kUnavailable) {
    return absl::UnavailableError(absl::StrCat("the connection to ", target.described, " broke: ",
                                               std::string(status.message()), ": try again"));
  }
  return status;
}

absl::StatusOr<Session> Session::Open(const Context& context) {
  absl::StatusOr<Target> target = Resolve(context);
  if (!target.ok()) return target.status();
  absl::StatusOr<pg::Connection> connection = Connect(*target);
  if (!connection.ok()) return connection.status();
  return Session(context, *std::move(target), *std::move(connection));
}

absl::StatusOr<pg::Result> Session::Query(const std::string& sql,
                                          const std::vector<pg::Parameter>& parameters) const {
  absl::StatusOr<pg::Result> result = pg::Query(connection_.get(), sql, parameters);
  if (!result.ok()) return Explain(*context_, target_, result.status());
  return result;
}

absl::StatusOr<int> Session::PrintJson(const std::string& sql,
                                       const std::vector<pg::Parameter>& parameters) const {
  absl::StatusOr<pg::Result> result = Query(sql, parameters);
  if (!result.ok()) return result.status();
  Print(EscapeJson(pg::Cell(result->get(), 0, 0)));
  return kExitOk;
}

std::string Field(const pg::Result& result, int row, const char* column) {
  const int number = PQfnumber(result.get(), column);
  return number < 0 ? "" : std::string(pg::Cell(result.get(), row, number));
}

bool IsNull(const pg::Result& result, int row, const char* column) {
  const int number = PQfnumber(result.get(), column);
  return number < 0 || PQgetisnull(result.get(), row, number) == 1;
}

}  // namespace spanring::cli
