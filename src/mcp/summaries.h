// Each tool's answer in a few lines: the root cause first, span ids cited, and said what is not
// shown. What traced programs recorded is quoted. Threads: plain functions. Memory: owned strings;
// an answer is taken as a copy, so that what it lacks can be read as null. Errors: none; what is
// missing is shown as ?. Design: docs/mcp.md
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace spanring::mcp {

[[nodiscard]] std::string DiagnosisText(nlohmann::json answer);
[[nodiscard]] std::string TimeoutText(nlohmann::json answer);
[[nodiscard]] std::string ComparisonText(nlohmann::json answer);
[[nodiscard]] std::string FailuresText(nlohmann::json answer);
[[nodiscard]] std::string PerformanceText(nlohmann::json answer);
[[nodiscard]] std::string GapsText(nlohmann::json answer);
[[nodiscard]] std::string TraceText(nlohmann::json answer);
[[nodiscard]] std::string OperationsText(nlohmann::json answer);
[[nodiscard]] std::string HealthText(nlohmann::json answer);
[[nodiscard]] std::string QueryText(nlohmann::json answer);

}  // namespace spanring::mcp
