// spanring serve
#include <pthread.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "answers/reader.h"
#include "cli/commands.h"
#include "cli/otlp_listener.h"
#include "cli/query_login.h"
#include "http/server.h"
#include "mcp/protocol.h"
#include "mcp/transports.h"
#include "serve/service.h"

namespace spanring::cli {
namespace {

// Never from the command line, which everybody on the machine may read.
absl::StatusOr<std::string> Token(const std::string& file) {
  const char* variable = std::getenv("SPANRING_SERVE_TOKEN");
  std::string token = variable != nullptr ? variable : "";
  if (!file.empty()) {
    struct stat status = {};
    std::ifstream in(file);
    if (!in || stat(file.c_str(), &status) != 0) {
      return absl::FailedPreconditionError("cannot read the token file " + file);
    }
    if ((status.st_mode & 077) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("others can read the token file ", file, ": chmod 600 ", file));
    }
    token.assign(std::istreambuf_iterator<char>(in), {});
  }
  token = std::string(absl::StripAsciiWhitespace(token));
  if (token.empty() && !file.empty()) {
    return absl::FailedPreconditionError("there is no token in the token file " + file);
  }
  if (!token.empty() && token.size() < 16) {
    return absl::InvalidArgumentError("a token has 16 characters or more");
  }
  return token;
}

bool IsLoopback(const std::string& address) {
  return absl::StartsWith(address, "127.") || address == "::1";
}

struct Asked {
  Target target;
  bool as_reader = false;
};

// No schema or no rights: better said now than to each request. The connection is not kept.
absl::StatusOr<Asked> LookAtDatabase(const Context& context) {
  const absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<pg::Result> readable =
      session->Query("SELECT FROM trace_executions LIMIT 0");
  if (!readable.ok()) return readable.status();
  const absl::StatusOr<bool> as_reader = MayBeReader(*session);
  if (!as_reader.ok()) return as_reader.status();
  return Asked{.target = session->target(), .as_reader = *as_reader};
}

std::string Address(const std::string& address, std::uint16_t port) {
  const bool is_v6 = absl::StrContains(address, ':');
  return absl::StrCat("http://", is_v6 ? "[" : "", address, is_v6 ? "]" : "", ":", port);
}

// Requests come in before Start has returned.
http::ServerCounts CountsOf(const std::atomic<const http::Server*>& serving) {
  // acquire: pairs with the release in Serve.
  const http::Server* server = serving.load(std::memory_order_acquire);
  return server == nullptr ? http::ServerCounts() : server->counts();
}

}  // namespace

absl::StatusOr<int> Serve(const Context& context, const ServeArguments& arguments) {
  const absl::StatusOr<std::string> token = Token(arguments.token_file);
  if (!token.ok()) return token.status();
  if (token->empty() && !IsLoopback(arguments.address)) {
    return absl::InvalidArgumentError(
        "whoever reaches this address could read all spans: set SPANRING_SERVE_TOKEN or give "
        "--token-file FILE");
  }
  const absl::StatusOr<Asked> asked = LookAtDatabase(context);
  if (!asked.ok()) return asked.status();

  // Before any thread, which inherit it: signals are waited for below.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);

  answers::Reader reader({.conninfo = asked->target.conninfo,
                          .application_name = "spanring serve",
                          .as_reader = asked->as_reader});
  std::atomic<const http::Server*> serving = nullptr;
  std::vector<std::string> hosts = arguments.hosts;
  for (std::string& host : hosts) absl::AsciiStrToLower(&host);
  QueryLogin query_login(context, arguments.query_database);
  // Now, while the database is there: later a name may mean another one. What fails is said to each
  // query_traces.
  (void)query_login.Conninfo();
  const mcp::Protocol protocol(
      {.reader = [&reader]() -> absl::StatusOr<answers::Reader*> { return &reader; },
       .query_conninfo = [&query_login] { return query_login.Conninfo(); }},
      SPANRING_VERSION);
  std::unique_ptr<OtlpListener> otlp;
  if (arguments.otlp) {
    absl::StatusOr<std::unique_ptr<OtlpListener>> started =
        OtlpListener::Start(context, arguments, {.token = *token, .hosts = hosts});
    if (!started.ok()) return started.status();
    otlp = *std::move(started);
  }
  serve::Service service(
      &reader,
      {.token = *token,
       .hosts = hosts,
       .counts = [&serving] { return CountsOf(serving); },
       .mcp =
           [&](const http::Request& request) { return mcp::AnswerHttp(protocol, request, hosts); },
       .more_metrics = [&otlp] { return otlp == nullptr ? "" : otlp->MetricsText(); }});
  absl::StatusOr<std::unique_ptr<http::Server>> server = http::Server::Start(
      {.address = arguments.address, .port = arguments.port},
      [&service](const http::Request& request) { return service.Answer(request); });
  if (!server.ok()) return server.status();
  // release: pairs with the acquire in CountsOf.
  serving.store(server->get(), std::memory_order_release);
  Print(absl::StrCat(Address(arguments.address, (*server)->port()), "/  ", asked->target.described,
                     asked->as_reader ? ", as spanring_reader" : "", "; Ctrl-C ends it"));
  if (otlp != nullptr) {
    Print(absl::StrCat(Address(arguments.address, otlp->port()), "/v1/traces  takes spans, for ",
                       otlp->described()));
  }
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ending, &signal);
  // A second one ends it at once.
  pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
  if (otlp != nullptr) otlp->Stop();
  // A question that takes longer than people wait writes nothing: it may be left where it is.
  if (!(*server)->Stop()) std::_Exit(kExitOk);
  return kExitOk;
}

}  // namespace spanring::cli
