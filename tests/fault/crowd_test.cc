// Fault: a server goes and comes back, and a crowd of writers has been waiting for it.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <future>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"

namespace spanring::test {
namespace {

constexpr int kWriters = 20;

// The moments, to 10 ms, at which the server's log says that a tracer logged in.
std::set<std::string> LogIns(const std::string& log_path) {
  std::set<std::string> moments;
  std::ifstream log(log_path);
  for (std::string line; std::getline(log, line);) {
    if (line.find("connection authorized") == std::string::npos) continue;
    if (line.find("application_name=spanring") == std::string::npos) continue;
    moments.insert(line.substr(0, std::string("2025-01-01 00:00:00.00").size()));
  }
  return moments;
}

TEST(Crowd, WritersThatWaitedDoNotComeBackAtOneMoment) {
  dev::TemporaryServer server = OwnServer({}, {"log_connections = on"});
  Migrate(server->conninfo());
  const std::string conninfo = server->conninfo();
  ASSERT_TRUE(server->Stop().ok());
  auto crowd = std::async(std::launch::async, [&] {
    return RunProgram("SPANRING_FAULTED_PROGRAM", conninfo, {"crowd", std::to_string(kWriters)},
                      {"SPANRING_LOG=off"});
  });
  std::this_thread::sleep_for(std::chrono::seconds(3));
  ASSERT_TRUE(server->Start().ok());
  const dev::Finished finished = crowd.get();
  EXPECT_EQ(finished.exit_code, 0) << finished.output;
  const pg::Connection admin = ConnectTo(conninfo);
  ExpectWritersAgree(admin.get(), kWriters);
  EXPECT_EQ(NumberOf(admin.get(), "SELECT count(*) FROM trace_spans"), kWriters);
  const std::set<std::string> moments = LogIns(server->log_path());
  EXPECT_GE(moments.size(), 5U) << *moments.begin();
}

}  // namespace
}  // namespace spanring::test
