#include "cli/filters.h"

#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace spanring::cli {

std::optional<std::int64_t> LengthMs(std::string_view text) {
  struct Unit {
    std::string_view name;
    double ms;
  };
  constexpr Unit kUnits[] = {{"ms", 1},    {"s", 1e3},    {"min", 6e4},  {"m", 6e4},
                             {"h", 3.6e6}, {"d", 8.64e7}, {"w", 6.048e8}};
  const auto end = text.find_first_not_of("0123456789.");
  if (end == 0 || end == std::string_view::npos) return std::nullopt;
  double number = 0;
  if (!absl::SimpleAtod(absl::string_view(text.data(), end), &number)) return std::nullopt;
  for (const Unit& unit : kUnits) {
    if (text.substr(end) != unit.name) continue;
    const double ms = number * unit.ms;
    return ms < 3.2e12 ? std::optional(std::llround(ms)) : std::nullopt;  // A hundred years.
  }
  return std::nullopt;
}

absl::StatusOr<std::string> ResolveSince(const Session& session, const std::string& since) {
  const std::optional<std::int64_t> ago_ms = LengthMs(since);
  // Server and session may have different time zones: the time says its own.
  const absl::StatusOr<pg::Result> result =
      ago_ms ? session.Query("SELECT now() - $1::bigint * interval '1 millisecond'",
                             {std::to_string(*ago_ms)})
             : session.Query("SELECT $1::timestamptz", {since});
  if (result.ok()) return std::string(pg::Cell(result->get(), 0, 0));
  if (pg::SqlState(result.status()).starts_with("22")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--since ", since, " is no time: give 30m, 2h, 7d, or a time such as 2026-11-24T08:00Z"));
  }
  return result.status();
}

std::vector<pg::Parameter> ListParameters(const ExecutionFilters& filters, std::size_t limit,
                                          pg::Parameter from, pg::Parameter ids) {
  std::vector<pg::Parameter> parameters = {std::to_string(limit)};
  for (const std::string& text : {absl::StrJoin(filters.statuses, ","), filters.job, filters.model,
                                  filters.region, filters.service}) {
    parameters.push_back(text.empty() ? pg::Parameter() : text);
  }
  const std::optional<std::int64_t> least_ms = LengthMs(filters.min_duration);
  parameters.insert(
      parameters.end(),
      {std::move(from), std::nullopt,
       least_ms ? pg::Parameter(std::to_string(*least_ms)) : pg::Parameter(), std::nullopt,
       std::nullopt, std::move(ids), filters.causes ? "true" : "false"});
  return parameters;
}

}  // namespace spanring::cli
