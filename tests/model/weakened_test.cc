// The test of the model: with any one order taken as relaxed, or with a producer that commits
// before it writes, it finds what is wrong. So none of these orders can be lost unnoticed.
#include <gtest/gtest.h>

#include <iostream>
#include <string>

#include "model/call_site_scenario.h"
#include "model/return_stack_scenario.h"
#include "model/ring_scenario.h"

namespace spanring::model {
namespace {

ExploreOptions With(int location, Access access, std::uint32_t nth = 0) {
  ExploreOptions options;
  options.weakened = {{.location = location, .access = access, .nth = nth}};
  return options;
}

void ExpectRace(const Report& report) {
  EXPECT_EQ(report.violation, Violation::kDataRace);
  std::cout << "found in execution " << report.executions + report.cut_short + 1 << ": "
            << report.what.substr(0, report.what.find('\n')) << "\n";
}

// Wraps around, so that every operation takes part.
const RingPlan kRing{.capacity = 64, .before = {24, 16}, .sizes = {32, 24, 16}};

Report RingWith(int location, Access access, std::uint32_t nth = 0) {
  RingSeen seen;
  return ExploreRing(kRing, &seen, With(location, access, nth));
}

TEST(Weakened, PublishRelaxed) { ExpectRace(RingWith(kPublished, Access::kStore)); }

// The third store: two records came before, the padding is next.
TEST(Weakened, PublishOfPaddingRelaxed) { ExpectRace(RingWith(kPublished, Access::kStore, 3)); }

TEST(Weakened, RefreshRelaxed) { ExpectRace(RingWith(kPublished, Access::kLoad)); }

TEST(Weakened, GiveBackRelaxed) { ExpectRace(RingWith(kConsumed, Access::kStore)); }

TEST(Weakened, MakeRoomRelaxed) { ExpectRace(RingWith(kConsumed, Access::kLoad)); }

TEST(Weakened, CommitBeforeTheRecordIsWritten) {
  RingPlan plan = kRing;
  plan.commits_before_it_writes = true;
  RingSeen seen;
  ExpectRace(ExploreRing(plan, &seen));
}

// Nothing races with the dead: what a crash leaves is wrong only in content.
TEST(Weakened, CommitBeforeTheRecordIsWrittenAndACrash) {
  const RingPlan plan{.capacity = 64,
                      .before = {},
                      .sizes = {16},
                      .polls = 0,
                      .crash = true,
                      .commits_before_it_writes = true};
  RingSeen seen;
  EXPECT_EQ(ExploreRing(plan, &seen).violation, Violation::kCheckFailed);
}

TEST(Weakened, PushRelaxed) {
  ReturnStackSeen seen;
  ExpectRace(
      ExploreReturnStack({.pushes_of_second = 0}, &seen, With(kHead, Access::kCompareExchange)));
}

TEST(Weakened, TakeAllRelaxed) {
  ReturnStackSeen seen;
  ExpectRace(ExploreReturnStack({.pushes_of_second = 0}, &seen, With(kHead, Access::kUpdate)));
}

// Whichever bucket the names are in.
ExploreOptions WithBuckets(Access access) {
  ExploreOptions options;
  for (std::size_t i = 0; i < ModelTable::kBuckets; ++i) {
    options.weakened.push_back({.location = kFirstBucket + static_cast<int>(i), .access = access});
  }
  return options;
}

TEST(Weakened, NumberPublishedRelaxed) {
  CallSiteSeen seen;
  ExpectRace(ExploreCallSite(&seen, With(kNumber, Access::kCompareExchange)));
}

TEST(Weakened, NumberReadRelaxed) {
  CallSiteSeen seen;
  ExpectRace(ExploreCallSite(&seen, With(kNumber, Access::kLoad)));
}

TEST(Weakened, BucketPublishedRelaxed) {
  CallSiteSeen seen;
  ExpectRace(ExploreCallSite(&seen, WithBuckets(Access::kCompareExchange)));
}

TEST(Weakened, BucketReadRelaxed) {
  CallSiteSeen seen;
  ExpectRace(ExploreCallSite(&seen, WithBuckets(Access::kLoad)));
}

TEST(Weakened, BucketOfTheWinnerReadRelaxed) {
  CallSiteSeen seen;
  ExpectRace(ExploreCallSite(&seen, WithBuckets(Access::kFailedCompareExchange)));
}

}  // namespace
}  // namespace spanring::model
