#include "otlp/upkeep.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace spanring::otlp {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kConnectTime{10};
constexpr std::chrono::minutes kLongest{30};  // As traced programs have it.

}  // namespace

Upkeep::Upkeep(UpkeepOptions options, std::function<std::uint64_t()> stored,
               std::function<void(const std::string&)> say)
    : options_(std::move(options)),
      stored_(std::move(stored)),
      say_(std::move(say)),
      thread_([this] { Run(); }) {}

Upkeep::~Upkeep() {
  {
    const std::scoped_lock lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  // release: pairs with the acquire in Session::Wait.
  stop_.store(true, std::memory_order_release);
  wake_.Signal();
  thread_.join();
}

void Upkeep::Run() {
  std::uint64_t seen = 0;
  Clock::time_point due = Clock::now() + options_.look;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, options_.look, [this] { return is_stopping_; })) return;
    }
    const std::uint64_t stored = stored_();
    if (Clock::now() < due || std::exchange(seen, stored) == stored) continue;
    due = Clock::now() + options_.every;
    const pg::Failure failure = Maintain();
    if (failure.ok() || failure.kind == pg::FailureKind::kStopped) continue;
    say_("trace_maintain() failed, and is tried again tomorrow: " + failure.message);
  }
}

pg::Failure Upkeep::Maintain() {
  pg::Session session(&wake_, &stop_);
  pg::Failure failure = session.Connect(options_.conninfo, Clock::now() + kConnectTime);
  if (!failure.ok()) return failure;
  return session.Send(
      absl::StrCat(options_.as_writer ? "SET LOCAL ROLE spanring_writer; " : "",
                   "SET LOCAL statement_timeout = ", std::chrono::milliseconds(kLongest).count(),
                   "; SELECT trace_maintain()"),
      {}, Clock::now() + kLongest);
}

}  // namespace spanring::otlp
