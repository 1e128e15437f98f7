#include "spanring/options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/log.h"
#include "runtime/settings.h"
#include "spanring/tracer.h"

namespace spanring {
namespace {

struct NumberSetting {
  const char* name;
  std::uint64_t Options::* field;
  std::uint64_t standard;
  std::uint64_t least;
  std::uint64_t most;
};

// As the header states them.
constexpr NumberSetting kNumbers[] = {
    {"SPANRING_RING_BYTES", &Options::ring_bytes, 1'048'576, 65'536, 268'435'456},
    {"SPANRING_MAX_OPEN_SPANS", &Options::max_open_spans, 131'072, 64, 4'194'304},
    {"SPANRING_FLUSH_INTERVAL_MS", &Options::flush_interval_ms, 500, 1, 60'000},
    {"SPANRING_BATCH_ROWS", &Options::batch_rows, 10'000, 1, 100'000},
    {"SPANRING_JOURNAL_BYTES", &Options::journal_bytes, 268'435'456, 1'048'576, 1'099'511'627'776},
    {"SPANRING_SHIPPERS", &Options::shippers, 2, 1, 8},
    {"SPANRING_OPEN_SPAN_MS", &Options::open_span_ms, 5'000, 0, 86'400'000},
    {"SPANRING_SLOW_SPAN_MS", &Options::slow_span_ms, 120'000, 1, 86'400'000},
    {"SPANRING_CONNECT_TIMEOUT_MS", &Options::connect_timeout_ms, 10'000, 100, 600'000},
    {"SPANRING_BATCH_TIMEOUT_MS", &Options::batch_timeout_ms, 60'000, 100, 3'600'000},
    {"SPANRING_RETRY_MAX_MS", &Options::retry_max_ms, 10'000, 10, 600'000},
    {"SPANRING_IDLE_DISCONNECT_MS", &Options::idle_disconnect_ms, 60'000, 100, 86'400'000},
    {"SPANRING_EXIT_TIMEOUT_MS", &Options::exit_timeout_ms, 2'000, 0, 600'000},
};

class Environment : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"ENABLE_DB_TRACING", "DATABASE_URL", "OTEL_SERVICE_NAME", "SPANRING_LOG",
          "SPANRING_SAMPLE_RATIO", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}) {
      unsetenv(name);
    }
    for (const NumberSetting& setting : kNumbers) unsetenv(setting.name);
  }
  void TearDown() override {
    SetUp();
    base::ConfigureLog(Options());
  }
  static void Set(const char* name, const std::string& value) { setenv(name, value.c_str(), 1); }
  // The options, and what was said about them.
  static Options Read(std::string* warnings = nullptr) {
    testing::internal::CaptureStderr();
    const Options options = Options::FromEnvironment();
    const std::string said = testing::internal::GetCapturedStderr();
    if (warnings != nullptr) {
      *warnings = said;
    } else {
      EXPECT_EQ(said, "");
    }
    return options;
  }
};

TEST_F(Environment, OffIsTheDefault) { EXPECT_FALSE(Read().enabled); }

TEST_F(Environment, TheSwitchKnowsItsWordsInAnyCase) {
  for (const char* word : {"true", "TRUE", "True", "1", "yes", "YES", "on", "oN"}) {
    Set("ENABLE_DB_TRACING", word);
    EXPECT_TRUE(Read().enabled) << word;
  }
  for (const char* word : {"", "false", "FALSE", "0", "no", "off", "Off"}) {
    Set("ENABLE_DB_TRACING", word);
    EXPECT_FALSE(Read().enabled) << word;
  }
}

TEST_F(Environment, AnUnknownWordIsOffAndWarnedAbout) {
  for (const char* word : {"ture", "2", "enabled", " true", "true "}) {
    Set("ENABLE_DB_TRACING", word);
    std::string warnings;
    EXPECT_FALSE(Read(&warnings).enabled) << word;
    EXPECT_NE(warnings.find(std::string("ENABLE_DB_TRACING=") + word + " is none of"),
              std::string::npos)
        << warnings;
  }
}

TEST_F(Environment, Texts) {
  Set("ENABLE_DB_TRACING", "true");
  EXPECT_EQ(Read().service_name, "unknown_service");
  EXPECT_EQ(Read().database_url, "");
  Set("OTEL_SERVICE_NAME", "");
  EXPECT_EQ(Read().service_name, "unknown_service");
  Set("OTEL_SERVICE_NAME", "runner");
  Set("DATABASE_URL", "postgresql://host/db");
  EXPECT_EQ(Read().service_name, "runner");
  EXPECT_EQ(Read().database_url, "postgresql://host/db");
}

TEST_F(Environment, TheSampleRatio) {
  Set("ENABLE_DB_TRACING", "true");
  EXPECT_EQ(Read().sample_ratio, 1);
  EXPECT_TRUE(Read().sample_by_parent);
  for (const auto& [text, ratio] :
       {std::pair{"0", 0.0}, {"1", 1.0}, {"0.25", 0.25}, {"1e-3", 0.001}, {"", 1.0}}) {
    Set("SPANRING_SAMPLE_RATIO", text);
    EXPECT_EQ(Read().sample_ratio, ratio) << text;
  }
  for (const char* wrong : {"1.01", "-0.1", "nan", "inf", "x", "0.5x", " 1", "10%", "1e999"}) {
    Set("SPANRING_SAMPLE_RATIO", wrong);
    std::string warnings;
    EXPECT_EQ(Read(&warnings).sample_ratio, 1) << wrong;
    EXPECT_NE(warnings.find(std::string("SPANRING_SAMPLE_RATIO=") + wrong + " is not a number"),
              std::string::npos)
        << warnings;
  }
}

TEST_F(Environment, TheSamplersOfOpenTelemetry) {
  Set("ENABLE_DB_TRACING", "true");
  Set("OTEL_TRACES_SAMPLER_ARG", "0.25");
  struct {
    const char* name;
    double ratio;
    bool by_parent;
  } const kSamplers[] = {{"", 1, true},
                         {"always_on", 1, false},
                         {"always_off", 0, false},
                         {"traceidratio", 0.25, false},
                         {"parentbased_always_on", 1, true},
                         {"parentbased_always_off", 0, true},
                         {"parentbased_traceidratio", 0.25, true}};
  for (const auto& sampler : kSamplers) {
    Set("OTEL_TRACES_SAMPLER", sampler.name);
    EXPECT_EQ(Read().sample_ratio, sampler.ratio) << sampler.name;
    EXPECT_EQ(Read().sample_by_parent, sampler.by_parent) << sampler.name;
  }
  // Its argument is 1 where none is given; our own name goes first.
  unsetenv("OTEL_TRACES_SAMPLER_ARG");
  EXPECT_EQ(Read().sample_ratio, 1);
  Set("SPANRING_SAMPLE_RATIO", "0.5");
  EXPECT_EQ(Read().sample_ratio, 0.5);
  // And then what is meant for another SDK is not read at all.
  for (const char* other : {"always_on", "always_off", "jaeger_remote"}) {
    Set("OTEL_TRACES_SAMPLER", other);
    std::string warnings;
    const Options options = Read(&warnings);
    EXPECT_EQ(options.sample_ratio, 0.5) << other;
    EXPECT_TRUE(options.sample_by_parent) << other;
    EXPECT_EQ(warnings, "") << other;
  }
  unsetenv("SPANRING_SAMPLE_RATIO");
  for (const char* wrong : {"jaeger_remote", "parentbased_", "parentbased_x", "ALWAYS_ON"}) {
    Set("OTEL_TRACES_SAMPLER", wrong);
    std::string warnings;
    const Options options = Read(&warnings);
    EXPECT_EQ(options.sample_ratio, 1) << wrong;
    EXPECT_TRUE(options.sample_by_parent) << wrong;
    EXPECT_NE(warnings.find("parentbased_always_on is used"), std::string::npos) << warnings;
  }
  Set("OTEL_TRACES_SAMPLER", "traceidratio");
  Set("OTEL_TRACES_SAMPLER_ARG", "25%");
  std::string warnings;
  EXPECT_EQ(Read(&warnings).sample_ratio, 1);
  EXPECT_NE(warnings.find("OTEL_TRACES_SAMPLER_ARG=25% is not a number from 0 to 1"),
            std::string::npos)
      << warnings;
}

TEST_F(Environment, EveryNumberHasItsDefaultAndItsRange) {
  Set("ENABLE_DB_TRACING", "true");
  for (const NumberSetting& setting : kNumbers) {
    SCOPED_TRACE(setting.name);
    const auto read = [&](const std::string& text, std::string* warnings = nullptr) {
      Set(setting.name, text);
      return Read(warnings).*setting.field;
    };
    unsetenv(setting.name);
    EXPECT_EQ(Read().*setting.field, setting.standard);
    EXPECT_EQ(read(""), setting.standard);
    EXPECT_EQ(read(std::to_string(setting.least)), setting.least);
    EXPECT_EQ(read(std::to_string(setting.most)), setting.most);
    std::vector<std::string> wrong = {
        std::to_string(setting.most + 1), "-1", "+5", "x", "5x", " 64", "1e3", "0x40",
        "99999999999999999999999"};
    if (setting.least > 0) wrong.push_back(std::to_string(setting.least - 1));
    for (const std::string& text : wrong) {
      std::string warnings;
      EXPECT_EQ(read(text, &warnings), setting.standard) << text;
      EXPECT_NE(warnings.find(setting.name), std::string::npos) << warnings;
    }
    unsetenv(setting.name);
  }
}

TEST_F(Environment, SettingsOfATracerThatIsOffAreNotLookedAt) {
  Set("SPANRING_RING_BYTES", "garbage");
  EXPECT_EQ(Read().ring_bytes, 1'048'576U);
}

TEST_F(Environment, LogLevels) {
  const auto level = [&](const char* word) {
    Set("SPANRING_LOG", word);
    const Options options = Read();
    return std::pair(options.log_errors, options.log_info);
  };
  EXPECT_EQ(level(""), std::pair(true, false));
  EXPECT_EQ(level("error"), std::pair(true, false));
  EXPECT_EQ(level("INFO"), std::pair(true, true));
  EXPECT_EQ(level("off"), std::pair(false, false));
  Set("SPANRING_LOG", "loud");
  std::string warnings;
  EXPECT_TRUE(Read(&warnings).log_errors);
  EXPECT_NE(warnings.find("SPANRING_LOG=loud"), std::string::npos);
}

TEST_F(Environment, LogOffSilencesTheWarningsToo) {
  Set("SPANRING_LOG", "off");
  Set("ENABLE_DB_TRACING", "ture");
  EXPECT_FALSE(Read().enabled);
}

TEST(Options, ClampBringsEveryNumberIntoItsRange) {
  Options low;
  Options high;
  for (const NumberSetting& setting : kNumbers) {
    low.*setting.field = 0;
    high.*setting.field = UINT64_MAX;
  }
  low = runtime::Clamp(low);
  high = runtime::Clamp(high);
  for (const NumberSetting& setting : kNumbers) {
    EXPECT_EQ(low.*setting.field, setting.least) << setting.name;
    EXPECT_EQ(high.*setting.field, setting.most) << setting.name;
  }
}

TEST(Options, ClampBringsTheSampleRatioIntoItsRange) {
  for (const auto& [given, used] : {std::pair{-1.0, 0.0},
                                    {-HUGE_VAL, 0.0},
                                    {0.3, 0.3},
                                    {2.0, 1.0},
                                    {HUGE_VAL, 1.0},
                                    {NAN, 1.0}}) {
    Options options;
    options.sample_ratio = given;
    EXPECT_EQ(runtime::Clamp(options).sample_ratio, used) << given;
  }
}

[[noreturn]] void DecideManyTimes() {
  setenv("ENABLE_DB_TRACING", "ture", 1);
  testing::internal::CaptureStderr();
  for (int i = 0; i < 10; ++i) {
    Tracer tracer = Tracer::FromEnvironment();
    tracer.StartSpan("s", "o").Complete();
    if (tracer.enabled()) _exit(1);
  }
  const std::string said = testing::internal::GetCapturedStderr();
  const auto first = said.find("ENABLE_DB_TRACING=ture");
  if (first == std::string::npos) _exit(2);
  _exit(said.find("ENABLE_DB_TRACING", first + 1) == std::string::npos ? 0 : 3);
}

TEST(OptionsDeathTest, AnUnknownWordIsWarnedAboutOnce) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(DecideManyTimes(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace spanring
