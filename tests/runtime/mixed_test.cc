#include <gtest/gtest.h>

#include "runtime/refusing.h"
#include "spanring/spanring.h"

bool RecordsWithTracing();
bool RecordsCompiledOut();

namespace spanring {
namespace {

TEST(Mixed, TranslationUnitsWithAndWithoutTracingLiveInOneProgram) {
  ASSERT_TRUE(Tracer::Start(Refusing()).ok());
  EXPECT_TRUE(RecordsWithTracing());
  EXPECT_FALSE(RecordsCompiledOut());
  EXPECT_TRUE(RecordsWithTracing());
  Tracer tracer;
  EXPECT_EQ(tracer.GetStats().started, 2U);
  tracer.Shutdown(absl::ZeroDuration()).IgnoreError();
}

}  // namespace
}  // namespace spanring
