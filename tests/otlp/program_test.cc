// `spanring serve --otlp` as a user starts it, and as an SDK talks to it.
#include "cli/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "http/client.h"
#include "otlp/wire.h"
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

// On a connection of its own, once somebody listens.
std::string Ask(std::uint16_t port, const std::string& bytes) {
  for (int i = 0; i < 500; ++i) {
    try {
      test::Client client(port);
      client.Send(bytes);
      return client.Receive();
    } catch (const std::runtime_error&) {
      std::this_thread::sleep_for(20ms);
    }
  }
  return "nobody listens";
}

std::string Chunked(const std::string& body) {
  std::string out;
  for (std::size_t at = 0; at < body.size(); at += 100) {
    const std::string piece = body.substr(at, 100);
    absl::StrAppend(&out, absl::Hex(piece.size()), "\r\n", piece, "\r\n");
  }
  return out + "0\r\n\r\n";
}

TEST(ServeOtlp, TakesChunkedBodiesOnOneConnectionAndSaysSoInItsMetrics) {
  const test::TestDatabase database;
  const std::uint16_t port = FreePort();
  const std::uint16_t otlp_port = FreePort();
  const pid_t pid = StartProgram({"serve", "-d", database.conninfo(), "--port", absl::StrCat(port),
                                  "--otlp", "--otlp-port", absl::StrCat(otlp_port)},
                                 {});
  EXPECT_THAT(Ask(port, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), HasSubstr("200 OK"));
  test::Client client(otlp_port);
  const std::string head =
      "POST /v1/traces HTTP/1.1\r\nHost: localhost:4318\r\nTransfer-Encoding: chunked\r\n"
      "Content-Type: application/";
  for (int i = 0; i < 2; ++i) {
    client.Send(head + "json\r\n\r\n" + Chunked(std::string(otlp::kWholeJson)));
    const std::string response = client.Receive();
    EXPECT_THAT(response, HasSubstr("200 OK"));
    EXPECT_TRUE(response.ends_with("\r\n\r\n{}")) << response;
  }
  client.Send(head + "x-protobuf\r\n\r\n" + Chunked(otlp::WholeRequest()));
  EXPECT_THAT(client.Receive(), HasSubstr("Content-Type: application/x-protobuf\r\n"));
  client.Send("POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n");
  EXPECT_THAT(client.Receive(), HasSubstr("413 Payload Too Large"));
  // In the form of the request: a google.rpc.Status, RESOURCE_EXHAUSTED.
  test::Client large(otlp_port);
  large.Send(
      "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
      "Content-Length: 100000000\r\n\r\n");
  const std::string refused = large.Receive();
  EXPECT_THAT(refused, HasSubstr("Content-Type: application/x-protobuf\r\n"));
  EXPECT_THAT(refused, HasSubstr("\r\n\r\n\x08\x08\x12"));
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"), "2");
  const std::string metrics = Ask(port, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(metrics, HasSubstr("\nspanring_otlp_spans_stored_total 2\n"));
  EXPECT_THAT(metrics, HasSubstr("\nspanring_otlp_requests_repeated_total 1\n"));
  // The page's listener takes none.
  EXPECT_THAT(Ask(port,
                  "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\n"
                  "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
              HasSubstr("405 Method Not Allowed"));
  ASSERT_EQ(kill(pid, SIGTERM), 0);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(database.Value("SELECT spans_started || ' ' || spans_persisted || ' ' ||"
                           " (stopped_at IS NOT NULL) FROM trace_writers"),
            "2 2 true");
}

TEST(ServeOtlp, RefusesALoginThatMayNotWrite) {
  const test::TestDatabase database;
  database.Run(
      "DROP ROLE IF EXISTS otlp_test_reader; CREATE ROLE otlp_test_reader LOGIN;"
      " GRANT spanring_reader TO otlp_test_reader");
  const Outcome outcome =
      RunProgram({"serve", "-d", database.conninfo(), "--port", "0", "--otlp", "--otlp-port", "0",
                  "--otlp-database", database.conninfo() + " user=otlp_test_reader"},
                 {});
  database.Run("DROP ROLE otlp_test_reader");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("GRANT spanring_writer"));
  EXPECT_EQ(RunProgram({"serve", "-d", database.conninfo(), "--otlp-port", "0"}, {}).exit_code, 2)
      << "without --otlp it means nothing";
}

TEST(ServeOtlp, SaysWhichPortIsTaken) {
  const test::TestDatabase database;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  listen(fd, 1);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  const Outcome outcome = RunProgram({"serve", "-d", database.conninfo(), "--port", "0", "--otlp",
                                      "--otlp-port", absl::StrCat(ntohs(address.sin_port))},
                                     {});
  close(fd);
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("choose another with --otlp-port"));
}

}  // namespace
}  // namespace spanring::cli
