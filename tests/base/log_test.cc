#include "base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace spanring::base {
namespace {

std::vector<std::pair<LogLevel, std::string>>& Lines() {
  static std::vector<std::pair<LogLevel, std::string>> lines;
  return lines;
}

void Keep(LogLevel level, std::string_view line) { Lines().emplace_back(level, line); }
void Throw(LogLevel, std::string_view) { throw std::runtime_error("the host's own trouble"); }

class Log : public testing::Test {
 protected:
  void SetUp() override { Lines().clear(); }
  void TearDown() override { ConfigureLog(Options()); }
  static void Configure(LogSink sink, bool errors, bool info) {
    Options options;
    options.log_sink = sink;
    options.log_errors = errors;
    options.log_info = info;
    ConfigureLog(options);
  }
};

TEST_F(Log, SinkTakesTheLinesWithTheirLevel) {
  Configure(Keep, true, true);
  LogError("one");
  LogInfo("two");
  ASSERT_EQ(Lines().size(), 2U);
  EXPECT_EQ(Lines()[0], std::pair(LogLevel::kError, std::string("one")));
  EXPECT_EQ(Lines()[1], std::pair(LogLevel::kInfo, std::string("two")));
}

TEST_F(Log, LevelsAreSwitchedOneByOne) {
  Configure(Keep, true, false);
  LogError("kept");
  LogInfo("left out");
  Configure(Keep, false, false);
  LogError("left out too");
  ASSERT_EQ(Lines().size(), 1U);
  EXPECT_EQ(Lines()[0].second, "kept");
}

TEST_F(Log, WithoutASinkLinesGoToStandardErrorWithPrefixAndNewline) {
  Configure(nullptr, true, false);
  testing::internal::CaptureStderr();
  LogError("a line");
  LogInfo("not wanted");
  LogError("");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "spanring: a line\nspanring: \n");
}

// How a child ends that logs to `write_end` as its standard error.
int StatusOfLoggingTo(int write_end) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);  // A write that waits is a failure, not a hanging test.
    dup2(write_end, STDERR_FILENO);
    LogError("a line");
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

TEST_F(Log, AReaderThatIsGoneDoesNotKillTheHost) {
  Configure(nullptr, true, false);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  const int status = StatusOfLoggingTo(ends[1]);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  close(ends[1]);
}

TEST_F(Log, AReaderThatDoesNotReadDoesNotBlockTheHost) {
  Configure(nullptr, true, false);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  while (write(ends[1], "x", 1) == 1) {
  }
  fcntl(ends[1], F_SETFL, 0);
  const int status = StatusOfLoggingTo(ends[1]);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  close(ends[0]);
  close(ends[1]);
}

TEST_F(Log, ASinkThatThrowsHarmsNobody) {
  Configure(Throw, true, true);
  LogError("one");
  LogInfo("two");
}

}  // namespace
}  // namespace spanring::base
