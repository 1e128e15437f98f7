// The numbers of call sites, in every schedule of two first spans.
#include <gtest/gtest.h>

#include <iostream>

#include "model/call_site_scenario.h"

namespace spanring::model {
namespace {

TEST(CallSiteModel, WhoReadsANumberFindsTheNamesWhole) {
  CallSiteSeen seen;
  const Report report = ExploreCallSite(&seen);
  EXPECT_EQ(report.violation, Violation::kNone) << report.what;
  EXPECT_GT(seen.looked_up_early, 0U);
  EXPECT_GT(seen.lost_the_race, 0U);
  std::cout << report.executions << " executions, " << report.cut_short << " more cut short\n";
}

}  // namespace
}  // namespace spanring::model
