#include "spanring/options.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/utf8.h"
#include "ring/record.h"
#include "runtime/settings.h"

namespace spanring {
namespace {

struct Setting {
  const char* name;
  std::uint64_t Options::* field;
  std::uint64_t least;
  std::uint64_t most;
};

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr Setting kSettings[] = {
    {"SPANRING_RING_BYTES", &Options::ring_bytes, 64 * 1024, 256 * kMiB},
    {"SPANRING_MAX_OPEN_SPANS", &Options::max_open_spans, 64, 4 * kMiB},
    {"SPANRING_FLUSH_INTERVAL_MS", &Options::flush_interval_ms, 1, 60'000},
    {"SPANRING_BATCH_ROWS", &Options::batch_rows, 1, 100'000},
    {"SPANRING_JOURNAL_BYTES", &Options::journal_bytes, kMiB, kMiB* kMiB},
    {"SPANRING_SHIPPERS", &Options::shippers, 1, 8},
    {"SPANRING_OPEN_SPAN_MS", &Options::open_span_ms, 0, 86'400'000},
    {"SPANRING_SLOW_SPAN_MS", &Options::slow_span_ms, 1, 86'400'000},
    {"SPANRING_CONNECT_TIMEOUT_MS", &Options::connect_timeout_ms, 100, 600'000},
    {"SPANRING_BATCH_TIMEOUT_MS", &Options::batch_timeout_ms, 100, 3'600'000},
    {"SPANRING_RETRY_MAX_MS", &Options::retry_max_ms, 10, 600'000},
    {"SPANRING_IDLE_DISCONNECT_MS", &Options::idle_disconnect_ms, 100, 86'400'000},
    {"SPANRING_EXIT_TIMEOUT_MS", &Options::exit_timeout_ms, 0, 600'000},
};

constexpr std::string_view kOtherSettings[] = {
    "ENABLE_DB_TRACING",       "DATABASE_URL",          "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG", "SPANRING_SAMPLE_RATIO", "SPANRING_RING_DIR", "SPANRING_LOG",
    "SPANRING_JOURNAL_DIR",    "SPANRING_JOURNAL_FULL"};

std::optional<bool> ParseSwitch(std::string_view text) {
  const std::string word = absl::AsciiStrToLower({text.data(), text.size()});
  if (word == "true" || word == "1" || word == "yes" || word == "on") return true;
  if (word.empty() || word == "false" || word == "0" || word == "no" || word == "off") return false;
  return std::nullopt;
}

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

void ReadNumber(const Setting& setting, const runtime::Lookup& value_of, Options& options) {
  const std::string text = value_of(setting.name);
  if (text.empty()) return;
  const auto number = ParseNumber(text);
  if (number && *number >= setting.least && *number <= setting.most) {
    options.*setting.field = *number;
  } else if (options
                 .enabled) {  // What is wrong with settings that are not used is nobody's concern.
    base::LogError(absl::StrCat(setting.name, "=", text, " is not a number from ", setting.least,
                                " to ", setting.most, "; ", options.*setting.field, " is used"));
  }
}

std::optional<double> ParseRatio(std::string_view text) {
  double ratio = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ratio);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  // Also false for NaN.
  return ratio >= 0 && ratio <= 1 ? std::optional(ratio) : std::nullopt;
}

void ReadRatio(const char* name, const std::string& text, Options& options) {
  const auto ratio = ParseRatio(text);
  if (ratio) {
    options.sample_ratio = *ratio;
  } else if (options.enabled) {
    base::LogError(absl::StrCat(name, "=", text, " is not a number from 0 to 1; ",
                                options.sample_ratio, " is used"));
  }
}

// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration
void ReadSampling(const runtime::Lookup& value_of, Options& options) {
  constexpr const char* kSampler = "OTEL_TRACES_SAMPLER";
  constexpr const char* kSamplerArgument = "OTEL_TRACES_SAMPLER_ARG";
  constexpr const char* kRatio = "SPANRING_SAMPLE_RATIO";
  constexpr std::string_view kByParent = "parentbased_";
  // Our own name says it all: the others may be meant for another SDK.
  if (const std::string text = value_of(kRatio); !text.empty()) {
    return ReadRatio(kRatio, text, options);
  }
  const std::string sampler = value_of(kSampler);
  std::string_view rule = sampler;
  if (!rule.empty()) {
    options.sample_by_parent = rule.starts_with(kByParent);
    if (options.sample_by_parent) rule.remove_prefix(kByParent.size());
    if (rule == "always_off") {
      options.sample_ratio = 0;
    } else if (rule == "traceidratio") {
      if (const std::string text = value_of(kSamplerArgument); !text.empty()) {
        ReadRatio(kSamplerArgument, text, options);
      }
    } else if (rule != "always_on") {
      options.sample_by_parent = true;
      if (options.enabled) {
        base::LogError(absl::StrCat(kSampler, "=", sampler,
                                    " is none of always_on, always_off, traceidratio, alone or "
                                    "behind parentbased_; parentbased_always_on is used"));
      }
    }
  }
}

void ReadLog(const runtime::Lookup& value_of, Options& options) {
  const std::string word = absl::AsciiStrToLower(value_of("SPANRING_LOG"));
  options.log_errors = word != "off";
  options.log_info = word == "info";
  base::ConfigureLog(options);  // So that the warnings go where they are wanted.
  if (!word.empty() && word != "off" && word != "info" && word != "error") {
    base::LogError(
        absl::StrCat("SPANRING_LOG=", word, " is none of error, info, off; error is used"));
  }
}

}  // namespace

Options Options::FromEnvironment() { return runtime::ReadOptions(runtime::FromEnvironment); }

namespace runtime {

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Options ReadOptions(const Lookup& value_of) {
  Options options;
  ReadLog(value_of, options);
  const std::string enabled = value_of("ENABLE_DB_TRACING");
  const std::optional<bool> on = ParseSwitch(enabled);
  options.enabled = on.value_or(false);
  if (!on) {
    base::LogError(absl::StrCat("ENABLE_DB_TRACING=", enabled,
                                " is none of true, 1, yes, on, false, 0, no, off; tracing is off"));
  }
  options.database_url = value_of("DATABASE_URL");
  if (std::string service = value_of("OTEL_SERVICE_NAME"); !service.empty()) {
    options.service_name = std::move(service);
  }
  for (const Setting& setting : kSettings) ReadNumber(setting, value_of, options);
  ReadSampling(value_of, options);
  options.ring_dir = value_of("SPANRING_RING_DIR");
  options.journal_dir = value_of("SPANRING_JOURNAL_DIR");
  const std::string full = absl::AsciiStrToLower(value_of("SPANRING_JOURNAL_FULL"));
  options.journal_drops_oldest = full == "oldest";
  if (options.enabled && !full.empty() && full != "oldest" && full != "newest") {
    base::LogError(absl::StrCat("SPANRING_JOURNAL_FULL=", full,
                                " is neither newest nor oldest; newest is used"));
  }
  return options;
}

bool IsSetting(std::string_view name) {
  return std::any_of(std::begin(kSettings), std::end(kSettings),
                     [name](const Setting& setting) { return name == setting.name; }) ||
         std::find(std::begin(kOtherSettings), std::end(kOtherSettings), name) !=
             std::end(kOtherSettings);
}

Options Clamp(Options options) {
  for (const Setting& setting : kSettings) {
    std::uint64_t& value = options.*setting.field;
    value = std::clamp(value, setting.least, setting.most);
  }
  // What is no number stores all.
  options.sample_ratio = options.sample_ratio < 1 ? std::max(options.sample_ratio, 0.0) : 1;
  options.service_name = base::Truncate(base::Sanitized(options.service_name), ring::kMaxNameBytes);
  return options;
}

}  // namespace runtime
}  // namespace spanring
