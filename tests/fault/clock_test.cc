// Fault: somebody sets the clock, back and forward, while spans are open and on their way.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "e2e/harness.h"
#include "support/database.h"

namespace spanring::test {
namespace {

class ShiftFile {
 public:
  ShiftFile() : path_(std::filesystem::temp_directory_path() / "spanring-clock-XXXXXX") {
    const int fd = mkstemp(path_.data());
    if (fd < 0) throw std::runtime_error("mkstemp " + path_);
    close(fd);
    std::filesystem::resize_file(path_, sizeof(std::int64_t));
  }
  ~ShiftFile() { std::filesystem::remove(path_); }
  ShiftFile(const ShiftFile&) = delete;
  ShiftFile& operator=(const ShiftFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Clock : public testing::Test {
 protected:
  void RunSteppedProgram() {
    const char* module = std::getenv("SPANRING_SHIFTED_CLOCK");
    ASSERT_NE(module, nullptr);
    const ShiftFile file;
    const dev::Finished finished =
        RunProgram("SPANRING_FAULTED_PROGRAM", database_.conninfo(), {"clock"},
                   {std::string("LD_PRELOAD=") + module, "SHIFTED_CLOCK_FILE=" + file.path()});
    EXPECT_EQ(finished.exit_code, 0) << finished.output;
    EXPECT_EQ(finished.output, "");
  }
  std::string Value(const std::string& sql) const { return database_.Value(sql); }

  const TestDatabase database_;
};

TEST_F(Clock, StepsChangeNoDurationAndLoseNothing) {
  RunSteppedProgram();
  ExpectWritersAgree(database_.connection(), 1);
  EXPECT_EQ(Value("SELECT count(*) FROM trace_spans"), std::to_string(200 + 6 * 202));
  // Each span open across a step is as long as the monotonic clock says: not an hour, not a year.
  EXPECT_EQ(Value("SELECT count(*) FROM trace_spans WHERE operation LIKE 'across.%'"
                  " AND duration_ns BETWEEN (metadata ->> 'at_least_ns')::bigint"
                  " AND (metadata ->> 'at_least_ns')::bigint + 60 * 1000000000::bigint"),
            "6");
  EXPECT_EQ(Value("SELECT count(*) FROM trace_spans"
                  " WHERE duration_ns NOT BETWEEN 0 AND 120 * 1000000000::bigint"
                  " OR completed_at < started_at"),
            "0");
}

TEST_F(Clock, StartsFollowTheStepAndDaysWithoutAPartitionAreKept) {
  RunSteppedProgram();
  const auto settled = [&](const std::string& name, const std::string& condition) {
    EXPECT_EQ(
        Value("SELECT " + condition + " FROM trace_spans WHERE operation = 'settled." + name + "'"),
        "t")
        << name;
  };
  settled("hour_back",
          "started_at BETWEEN now() - interval '90 min' AND now() - interval '50 min'");
  settled("year_forward", "started_at > now() + interval '364 days'");
  settled("1970", "started_at::date = '1970-01-01'");
  settled("2100", "extract(year FROM started_at AT TIME ZONE 'UTC') = 2100");
  settled("1960", "extract(year FROM started_at AT TIME ZONE 'UTC') = 1960");
  settled("home", "started_at BETWEEN now() - interval '30 min' AND now()");
  EXPECT_EQ(Value("SELECT count(*) FROM trace_spans_default WHERE operation LIKE 'settled.%'"),
            "4");
}

}  // namespace
}  // namespace spanring::test
