// spanring dev up|down|status|psql
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/database.h"
#include "dev/private_server.h"
#include "dev/server_programs.h"

namespace spanring::cli {
namespace {

void PrintServer(const Context& context, const dev::PrivateServer& server) {
  const bool running = server.running();
  if (context.options.json) {
    nlohmann::json json = {{"running", running},
                           {"answers", server.answers()},
                           {"pid", server.pid()},
                           {"state_dir", server.state_dir()},
                           {"data_folder", server.data_folder()},
                           {"log", server.log_path()}};
    if (running) json["database_url"] = server.url(kDevDatabase);
    Print(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  if (!running) {
    Print(absl::StrCat("not running; start it: ", context.Copyable("dev up")));
    return;
  }
  Print(absl::StrCat(server.answers() ? "running" : "running, but does not answer yet",
                     " (process ", server.pid(), ")"));
  Print(absl::StrCat("  data  ", server.data_folder()));
  Print(absl::StrCat("  log   ", server.log_path()));
  Print("  to trace into it:");
  Print(absl::StrCat("    ", context.Copyable(absl::StrCat("migrate -d ", kDevDatabase)),
                     "    # once"));
  Print(absl::StrCat("    export ENABLE_DB_TRACING=true DATABASE_URL='", server.url(kDevDatabase),
                     "'"));
}

}  // namespace

absl::StatusOr<int> DevUp(const Context& context) {
  absl::StatusOr<dev::PrivateServer> server = dev::PrivateServer::Open(context.options.state_dir);
  if (!server.ok()) return server.status();
  if (absl::Status status = server->Start(); !status.ok()) return status;
  if (absl::Status status = server->EnsureDatabase(kDevDatabase); !status.ok()) return status;
  if (!server->relocation_notice().empty()) PrintNote(server->relocation_notice());
  PrintServer(context, *server);
  return kExitOk;
}

absl::StatusOr<int> DevDown(const Context& context) {
  absl::StatusOr<dev::PrivateServer> server = dev::PrivateServer::Open(context.options.state_dir);
  if (!server.ok()) return server.status();
  const bool was_running = server->running();
  if (absl::Status status = server->Stop(); !status.ok()) return status;
  if (context.options.json) {
    PrintServer(context, *server);
  } else {
    Print(was_running ? absl::StrCat("stopped; its data stay in ", server->data_folder())
                      : "not running");
  }
  return kExitOk;
}

absl::StatusOr<int> DevStatus(const Context& context) {
  absl::StatusOr<dev::PrivateServer> server = dev::PrivateServer::Open(context.options.state_dir);
  if (!server.ok()) return server.status();
  PrintServer(context, *server);
  return server->answers() ? kExitOk : kExitBadAnswer;
}

absl::StatusOr<int> DevPsql(const Context& context, const std::vector<std::string>& arguments) {
  absl::StatusOr<dev::PrivateServer> server = dev::PrivateServer::Open(context.options.state_dir);
  if (!server.ok()) return server.status();
  if (!server->running()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the private PostgreSQL does not run: ", context.Copyable("dev up")));
  }
  const std::string& wanted = context.options.database;
  std::string program = "psql";
  if (absl::StatusOr<dev::ServerPrograms> programs = dev::FindServerPrograms(); programs.ok()) {
    const std::string beside = programs->directory + "/psql";
    if (access(beside.c_str(), X_OK) == 0) program = beside;
  }
  std::vector<std::string> command = {program,
                                      server->conninfo(wanted.empty() ? kDevDatabase : wanted)};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::fflush(stdout);
  execvp(argv[0], argv.data());
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot start ", program, ": ", std::strerror(errno), ": apt-get install postgresql-client"));
}

}  // namespace spanring::cli
