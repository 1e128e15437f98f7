// The way of a slot back to its owner, in every schedule of a few slots.
#include <gtest/gtest.h>

#include <iostream>

#include "model/return_stack_scenario.h"

namespace spanring::model {
namespace {

ReturnStackSeen HoldsAlways(const ReturnStackPlan& plan) {
  ReturnStackSeen seen;
  const Report report = ExploreReturnStack(plan, &seen);
  EXPECT_EQ(report.violation, Violation::kNone) << report.what;
  std::cout << report.executions << " executions, " << report.cut_short << " more cut short\n";
  return seen;
}

TEST(ReturnStackModel, EachNodeIsTakenOnce) {
  const ReturnStackSeen seen = HoldsAlways({.pushes_of_first = 1, .pushes_of_second = 1});
  EXPECT_GT(seen.both_at_once, 0U);
}

TEST(ReturnStackModel, SeveralNodesOfEachThreadAreTakenOnce) {
  const ReturnStackSeen seen =
      HoldsAlways({.pushes_of_first = 2, .pushes_of_second = 1, .takes = 1});
  EXPECT_GT(seen.both_at_once, 0U);
}

// The head is the same node again while a push still holds it as the old head.
TEST(ReturnStackModel, ANodeMayComeBackWhileAPushIsUnderWay) {
  const ReturnStackSeen seen =
      HoldsAlways({.pushes_of_first = 1, .pushes_of_second = 1, .takes = 2, .gives_again = true});
  EXPECT_GT(seen.again, 0U);
}

}  // namespace
}  // namespace spanring::model
