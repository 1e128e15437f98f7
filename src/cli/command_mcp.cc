// spanring mcp
#include <unistd.h>

#include <csignal>
#include <memory>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "answers/reader.h"
#include "cli/commands.h"
#include "cli/query_login.h"
#include "mcp/protocol.h"
#include "mcp/transports.h"

namespace spanring::cli {
namespace {

// The database may be away when a client starts us: looked for at each question until it is there.
class Later {
 public:
  explicit Later(const Context& context) : context_(context) {}

  absl::StatusOr<answers::Reader*> Reader() {
    const std::scoped_lock lock(mutex_);
    if (reader_ != nullptr) return reader_.get();
    const absl::StatusOr<Session> session = Session::Open(context_);
    if (!session.ok()) return session.status();
    const absl::StatusOr<bool> as_reader = MayBeReader(*session);
    if (!as_reader.ok()) return as_reader.status();
    reader_ = std::make_unique<answers::Reader>(
        answers::ReaderOptions{.conninfo = session->target().conninfo,
                               .application_name = "spanring mcp",
                               .as_reader = *as_reader,
                               .connections = 1});
    return reader_.get();
  }

 private:
  const Context& context_;
  std::mutex mutex_;
  std::unique_ptr<answers::Reader> reader_;  // guarded by mutex_
};

}  // namespace

absl::StatusOr<int> Mcp(const Context& context, const std::string& query_database) {
  const absl::StatusOr<Target> target = Resolve(context);
  if (!target.ok()) return target.status();
  // A client that is gone is an end, not a death.
  std::signal(SIGPIPE, SIG_IGN);
  PrintNote(absl::StrCat("MCP on standard input and output, for ", target->described,
                         "; ends when its input does"));
  Later later(context);
  QueryLogin query_login(context, query_database);
  if (const auto reader = later.Reader(); !reader.ok()) {
    PrintNote(std::string(reader.status().message()));
  }
  const mcp::Protocol protocol(
      {.reader = [&later] { return later.Reader(); },
       .query_conninfo = [&query_login] { return query_login.Conninfo(); }},
      SPANRING_VERSION);
  const absl::Status status = mcp::ServeLines(protocol, STDIN_FILENO, STDOUT_FILENO);
  if (!status.ok()) return status;
  return kExitOk;
}

}  // namespace spanring::cli
