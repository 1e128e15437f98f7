#include "pg/delivery.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace spanring::pg {
namespace {

constexpr std::chrono::seconds kReportEvery{60};
constexpr std::chrono::seconds kReportNewsEvery{10};

// What an operator can do about it.
std::string_view Advice(const Failure& failure) {
  const std::string_view state = failure.sqlstate;
  if (state == "42P01" || state == "42703" || state == "42883" || state == "3F000") {
    return "; run: spanring migrate";
  }
  if (state == "42501") return "; grant the role spanring_writer";
  if (state == "22P03")
    return "; a column of trace_spans has another type: spanring migrate status";
  if (state == "25006") return "; the server is read-only: is it a standby?";
  if (state == "53100") return "; the server's disk is full: spanring retain --days N";
  if (failure.kind == FailureKind::kConnection) return "; check DATABASE_URL: spanring doctor";
  return "";
}

}  // namespace

void Delivery::Failed(const Failure& failure, const Stats& now) {
  const std::lock_guard lock(mutex_);
  ++unreported_;
  const auto time = Clock::now();
  const auto pause = failure.message == last_message_ ? kReportEvery : kReportNewsEvery;
  if (last_report_ != Clock::time_point{} && time - last_report_ < pause) return;
  last_report_ = time;
  last_message_ = failure.message;
  was_told_ = true;
  base::LogError(
      absl::StrCat("failed to persist trace span: ", failure.message, "; ", now.journalled,
                   " spans wait, ", now.dropped, " dropped", std::string(Advice(failure)),
                   unreported_ > 1 ? absl::StrCat(" (", unreported_, " failures)") : ""));
  unreported_ = 0;
}

void Delivery::SetConnected(bool connected) {
  const std::lock_guard lock(mutex_);
  is_connected_ = connected;
}

bool Delivery::IsConnected() {
  const std::lock_guard lock(mutex_);
  return is_connected_;
}

void Delivery::Succeeded() {
  const std::lock_guard lock(mutex_);
  if (!was_told_) return;
  was_told_ = false;
  base::LogInfo("the database takes trace spans again");
}

}  // namespace spanring::pg
