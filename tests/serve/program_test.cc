// `spanring serve` as a user starts it.
#include "cli/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "http/client.h"
#include "support/database.h"

namespace spanring::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// One that nobody listens on, for the moment.
std::uint16_t FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

std::string Get(std::uint16_t port, const std::string& path, const std::string& header = "") {
  for (int i = 0; i < 500; ++i) {
    try {
      test::Client client(port);
      client.Send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + header +
                  "Connection: close\r\n\r\n");
      return client.Receive();
    } catch (const std::runtime_error&) {
      std::this_thread::sleep_for(20ms);
    }
  }
  return "nobody listens";
}

TEST(Serve, AnswersUntilItIsToldToEnd) {
  const test::TestDatabase database;
  for (const int signal : {SIGTERM, SIGINT}) {
    const std::uint16_t port = FreePort();
    const pid_t pid =
        StartProgram({"serve", "-d", database.conninfo(), "--port", std::to_string(port)}, {});
    EXPECT_THAT(Get(port, "/healthz"), HasSubstr("200 OK"));
    EXPECT_THAT(Get(port, "/readyz"), HasSubstr("200 OK"));
    EXPECT_THAT(Get(port, "/api/v1/executions"), HasSubstr("\"executions\""));
    EXPECT_THAT(Get(port, "/metrics"), HasSubstr("spanring_database_up 1"));
    ASSERT_EQ(kill(pid, signal), 0);
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
}

TEST(Serve, TakesItsTokenFromAFileOfItsOwnOnly) {
  const test::TestDatabase database;
  std::string folder = (std::filesystem::temp_directory_path() / "spanring-serve-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/token";
  std::ofstream(file) << "0123456789abcdef\n";
  const std::uint16_t port = FreePort();
  const std::vector<std::string> arguments = {
      "serve", "-d", database.conninfo(), "--port", std::to_string(port), "--token-file", file};
  ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  const Outcome open = RunProgram(arguments, {});
  EXPECT_EQ(open.exit_code, 3);
  EXPECT_THAT(open.err, HasSubstr("chmod 600"));
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  std::ofstream(file) << "\n";
  const Outcome none = RunProgram(arguments, {});
  EXPECT_EQ(none.exit_code, 3) << "as if no token were wanted";
  EXPECT_THAT(none.err, HasSubstr("no token"));
  std::ofstream(file) << "0123456789abcdef\n";
  const pid_t pid = StartProgram(arguments, {});
  EXPECT_THAT(Get(port, "/api/v1/executions"), HasSubstr("401 Unauthorized"));
  EXPECT_THAT(Get(port, "/api/v1/executions", "Authorization: Bearer 0123456789abcdef\r\n"),
              HasSubstr("200 OK"));
  kill(pid, SIGTERM);
  waitpid(pid, nullptr, 0);
  std::filesystem::remove_all(folder);
}

TEST(Serve, RefusesWhatIsNotSafeOrNotThere) {
  const test::TestDatabase database;
  const std::string& conninfo = database.conninfo();
  const Outcome open = RunProgram({"serve", "-d", conninfo, "--address", "0.0.0.0"}, {});
  EXPECT_EQ(open.exit_code, 2);
  EXPECT_THAT(open.err, HasSubstr("SPANRING_SERVE_TOKEN"));
  const Outcome shorter = RunProgram({"serve", "-d", conninfo}, {"SPANRING_SERVE_TOKEN=short"});
  EXPECT_EQ(shorter.exit_code, 2);
  EXPECT_THAT(shorter.err, HasSubstr("16 characters"));
  EXPECT_EQ(RunProgram({"serve", "-d", "host=/nonexistent"}, {}).exit_code, 3);
  const test::TestDatabase empty(test::TestDatabase::Schema::kEmpty);
  const Outcome unmigrated = RunProgram({"serve", "-d", empty.conninfo(), "--port", "0"}, {});
  EXPECT_EQ(unmigrated.exit_code, 3);
  EXPECT_THAT(unmigrated.err, HasSubstr("spanring migrate"));
  EXPECT_EQ(RunProgram({"serve", "-d", conninfo, "--port", "70000"}, {}).exit_code, 2);
  const Outcome taken = RunProgram({"serve", "-d", conninfo, "--address", "192.0.2.1"},
                                   {"SPANRING_SERVE_TOKEN=0123456789abcdef"});
  EXPECT_EQ(taken.exit_code, 3);
  EXPECT_THAT(taken.err, HasSubstr("cannot listen on 192.0.2.1:8126"));
}

}  // namespace
}  // namespace spanring::cli
