// spanring/c.h from its calls to the rows.
#include <cstring>
#include <string>

#include "runtime/span_fixture.h"
#include "spanring/c.h"

namespace spanring {
namespace {

using namespace flush;  // The columns.

class CApi : public SpanTest {};

TEST_F(CApi, WritesEveryColumn) {
  Do([] {
    spanring_context parent{
        .trace_id_high = 1, .trace_id_low = 2, .span_id = 3, .is_sampled = 1, .reserved = 0};
    spanring_span* span =
        spanring_span_start_child(&parent, "router", SPANRING_NUL, "router.call_", 11);
    ASSERT_NE(span, nullptr);
    spanring_span_set_text(span, "text", 4, "t\"", 2);
    spanring_span_set_int(span, "int", SPANRING_NUL, -7);
    spanring_span_set_double(span, "double", SPANRING_NUL, 0.5);
    spanring_span_set_bool(span, "bool", SPANRING_NUL, 2);
    const std::int64_t id = 2193;
    spanring_span_set_execution_context(span, "job", SPANRING_NUL, &id, nullptr, 0, "eu", 2);
    // The id and what is not named stay.
    spanring_span_set_execution_context(span, nullptr, 0, nullptr, "llama", SPANRING_NUL, "", 0);
    spanring_span_set_start_time(span, 1'000'000'000);
    spanring_span_set_end_time(span, 3'000'000'000);
    spanring_span_complete_with_error(&span, "no answer", SPANRING_NUL, "ETIMEDOUT", SPANRING_NUL,
                                      "timeout", SPANRING_NUL);
    EXPECT_EQ(span, nullptr);
  });
  const std::vector<Row> rows = Rows();
  ASSERT_EQ(rows.size(), 1U);
  const Row& row = rows[0];
  EXPECT_EQ(row.Uuid(kTraceIdColumn), "00000000000000010000000000000002");
  EXPECT_EQ(row.Uuid(kParentSpanId), "00000000000000000000000000000003");
  EXPECT_EQ(row.Text(kServiceColumn), "router");
  EXPECT_EQ(row.Text(kOperationColumn), "router.call");
  EXPECT_EQ(row.Text(kJobIdColumn), "job");
  EXPECT_EQ(row.Number(kExecutionId), 2193);
  EXPECT_EQ(row.Text(kModelIdColumn), "llama");
  EXPECT_EQ(row.Text(kRegionColumn), "eu");
  EXPECT_EQ(row.Text(kStatusColumn), "timeout");
  EXPECT_EQ(row.Text(kErrorMessageColumn), "no answer");
  EXPECT_EQ(row.Text(kErrorTypeColumn), "ETIMEDOUT");
  EXPECT_EQ(row.Number(kDurationNs), 2'000'000'000);
  EXPECT_EQ(row.Json(kMetadata), R"({"text":"t\"","int":-7,"double":0.5,"bool":true})");
}

TEST_F(CApi, NothingButATextLeavesTheExecutionIdNull) {
  Do([] {
    spanring_span* span = spanring_span_start("s", 1, "o", 1);
    spanring_span_set_execution_context(span, "job", 3, nullptr, nullptr, 0, nullptr, 0);
    spanring_span_complete(&span, nullptr, 0);
  });
  const std::vector<Row> rows = Rows();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_TRUE(rows[0].IsNull(kExecutionId));
  EXPECT_EQ(rows[0].Text(kJobIdColumn), "job");
  EXPECT_EQ(rows[0].Text(kStatusColumn), "completed");
}

TEST_F(CApi, StatusesAreTheWordsOfCompleteAndFailedIsTheDefaultOfAnError) {
  Do([] {
    spanring_span* span = spanring_span_start("s", 1, "o", 1);
    spanring_span_complete(&span, "FAILED", SPANRING_NUL);
    span = spanring_span_start("s", 1, "o", 1);
    spanring_span_complete_with_error(&span, "e", 1, nullptr, 0, nullptr, 0);
  });
  const std::vector<Row> rows = Rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].Text(kStatusColumn), "failed");
  EXPECT_EQ(rows[1].Text(kStatusColumn), "failed");
  EXPECT_EQ(rows[1].Text(kErrorMessageColumn), "e");
  EXPECT_TRUE(rows[1].IsNull(kErrorTypeColumn));
}

TEST_F(CApi, TheCurrentContextIsTheParentOfTheNextSpan) {
  Do([] {
    spanring_span* outer = spanring_span_start("s", 1, "outer", SPANRING_NUL);
    spanring_context context{};
    spanring_context before{};
    spanring_span_context(outer, &context);
    spanring_exchange_context(&context, &before);
    EXPECT_EQ(before.span_id, 0U);
    spanring_span* inner = spanring_span_start("s", 1, "inner", SPANRING_NUL);
    spanring_context current{};
    spanring_current_context(&current);
    EXPECT_EQ(std::memcmp(&current, &context, sizeof(context)), 0);
    spanring_span_complete(&inner, nullptr, 0);
    spanring_exchange_context(nullptr, &before);
    EXPECT_EQ(before.span_id, context.span_id);
    spanring_current_context(&current);
    EXPECT_EQ(current.span_id, 0U);
    spanring_span_complete(&outer, nullptr, 0);
  });
  const std::vector<Row> rows = Rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].Uuid(kParentSpanId), rows[1].Uuid(kSpanIdColumn));
  EXPECT_EQ(rows[0].Uuid(kTraceIdColumn), rows[1].Uuid(kTraceIdColumn));
}

TEST_F(CApi, ATraceWithoutASpanIsToldAndMadeCurrentAgain) {
  Do([] {
    const spanring_context trace{
        .trace_id_high = 1, .trace_id_low = 2, .span_id = 0, .is_sampled = 1, .reserved = 0};
    spanring_context told{};
    spanring_exchange_context(&trace, nullptr);
    spanring_current_context(&told);
    EXPECT_EQ(std::memcmp(&told, &trace, sizeof(trace)), 0);
    spanring_exchange_context(nullptr, &told);
    spanring_exchange_context(&told, nullptr);
    spanring_span* span = spanring_span_start("s", 1, "root", SPANRING_NUL);
    spanring_span_complete(&span, nullptr, 0);
    spanring_exchange_context(nullptr, nullptr);
  });
  const std::vector<Row> rows = Rows();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].Uuid(kTraceIdColumn), "00000000000000010000000000000002");
  EXPECT_TRUE(rows[0].IsNull(kParentSpanId));
}

TEST_F(CApi, EndingTwiceAndNothingAtAllAreHarmless) {
  Do([] {
    spanring_span* span = spanring_span_start(nullptr, 0, nullptr, SPANRING_NUL);
    spanring_span_complete(&span, nullptr, 0);
    spanring_span_complete(&span, nullptr, 0);
    spanring_span_complete_with_error(&span, nullptr, 0, nullptr, 0, nullptr, 0);
    spanring_span_set_int(span, "k", 1, 1);
    spanring_span_set_execution_context(span, nullptr, 0, nullptr, nullptr, 0, nullptr, 0);
    spanring_context context{};
    spanring_span_context(span, &context);
    EXPECT_EQ(context.span_id, 0U);
  });
  EXPECT_EQ(Rows().size(), 1U);
}

}  // namespace
}  // namespace spanring
