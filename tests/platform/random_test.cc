#include "platform/random.h"

#include <gtest/gtest.h>

namespace spanring::platform {
namespace {

TEST(Random, SeedsDiffer) {
  EXPECT_NE(RandomSeed(), RandomSeed());
  EXPECT_NE(Mix(1), Mix(2));
  EXPECT_EQ(Mix(0), 0U);
}

}  // namespace
}  // namespace spanring::platform
