#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "runtime/refusing.h"
#include "spanring/spanring.h"

bool RecordsWithTracing();
bool RecordsCompiledOut();
std::string PassedOnCompiledOut(std::string_view traceparent);

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

TEST(Mixed, AContextGoesThroughWhatIsCompiledWithoutTracing) {
  EXPECT_EQ(PassedOnCompiledOut("00-0192f0c17d3e7a2b8c4d5e6f708192a3-00f067aa0ba902b7-01"),
            "traceparent: 00-0192f0c17d3e7a2b8c4d5e6f708192a3-00f067aa0ba902b7-01\n"
            "baggage: k=v\n");
}

}  // namespace
}  // namespace spanring
