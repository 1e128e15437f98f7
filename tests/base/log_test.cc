#include "base/log.h"

#include <gtest/gtest.h>

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

TEST_F(Log, ASinkThatThrowsHarmsNobody) {
  Configure(Throw, true, true);
  LogError("one");
  LogInfo("two");
}

}  // namespace
}  // namespace spanring::base
