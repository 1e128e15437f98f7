#include "flush/span_row.h"

#include <gtest/gtest.h>

#include "flush/row.h"

namespace spanring::flush {
namespace {

TEST(SpanRow, HasEachFieldInItsColumn) {
  std::vector<std::uint8_t> out;
  AppendSpanRow({.start_ns = 1'700'000'000'000'000'999,
                 .duration_ns = 2'000'001,
                 .has_execution_id = true,
                 .execution_id = -3,
                 .trace_id = TraceId(1, 2),
                 .span_id = TraceId(0, 3),
                 .parent_span_id = TraceId(4, 5),
                 .service = "a\xff",
                 .operation = "op",
                 .status = "failed",
                 .error_type = "E"},
                R"({"k":1})", out);
  const Row row = OnlyRow(out);
  EXPECT_EQ(row.UnixUs(kStartedAt), 1'700'000'000'000'000);
  EXPECT_EQ(row.UnixUs(kCompletedAt), 1'700'000'000'002'001);
  EXPECT_EQ(row.Number(kDurationNs), 2'000'001);
  EXPECT_EQ(row.Number(kDurationMs), 2);
  EXPECT_EQ(row.Number(kExecutionId), -3);
  EXPECT_EQ(row.Uuid(kTraceIdColumn), "00000000000000010000000000000002");
  EXPECT_EQ(row.Uuid(kSpanIdColumn), "00000000000000000000000000000003");
  EXPECT_EQ(row.Uuid(kParentSpanId), "00000000000000040000000000000005");
  EXPECT_EQ(row.Text(kServiceColumn), "a\xef\xbf\xbd");
  EXPECT_EQ(row.Text(kOperationColumn), "op");
  EXPECT_EQ(row.Text(kStatusColumn), "failed");
  EXPECT_EQ(row.Text(kErrorTypeColumn), "E");
  EXPECT_TRUE(row.IsNull(kErrorMessageColumn));
  EXPECT_EQ(row.Json(kMetadata), R"({"k":1})");
}

TEST(SpanRow, WithoutAnEndTheTimesAreNullAndRowsFollowOneAnother) {
  std::vector<std::uint8_t> out;
  for (int i = 0; i < 2; ++i) {
    AppendSpanRow({.has_end = false, .trace_id = TraceId(1, 2), .status = "started"}, "", out);
  }
  std::string_view rest(reinterpret_cast<const char*>(out.data()), out.size());
  for (int i = 0; i < 2; ++i) {
    const Row row = TakeRow(rest);
    EXPECT_TRUE(row.IsNull(kCompletedAt));
    EXPECT_TRUE(row.IsNull(kDurationNs));
    EXPECT_TRUE(row.IsNull(kDurationMs));
    EXPECT_TRUE(row.IsNull(kParentSpanId));
    EXPECT_TRUE(row.IsNull(kMetadata));
  }
  EXPECT_TRUE(rest.empty());
}

}  // namespace
}  // namespace spanring::flush
