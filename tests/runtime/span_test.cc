// From the public calls to the row: what each kind of use, and of misuse, leaves in the database.
#include "spanring/span.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "runtime/span_fixture.h"

namespace spanring {
namespace {

using namespace std::string_view_literals;

TEST_F(SpanTest, CompletesAtTheEndOfItsScope) {
  const Row row = RowOf([](Span&) {});
  EXPECT_EQ(row.Text(Column::kStatusColumn), "completed");
  EXPECT_EQ(row.Text(Column::kServiceColumn), "service");
  EXPECT_EQ(row.Text(Column::kOperationColumn), "operation");
  EXPECT_TRUE(row.IsNull(Column::kParentSpanId));
  EXPECT_GE(row.Number(Column::kDurationNs), 0);
  EXPECT_EQ(misuses(), 0U);
}

TEST_F(SpanTest, StatusWordsInAnyCase) {
  const auto status = [&](std::string_view word) {
    return RowOf([&](Span& span) { span.Complete(word); }).Text(Column::kStatusColumn);
  };
  EXPECT_EQ(status("completed"), "completed");
  EXPECT_EQ(status("COMPLETED"), "completed");
  EXPECT_EQ(status("Failed"), "failed");
  EXPECT_EQ(status("timeout"), "timeout");
  EXPECT_EQ(status("TimeOut"), "timeout");
  const Row row = RowOf([&](Span& span) { span.Complete("cancelled"); });
  EXPECT_EQ(row.Text(Column::kStatusColumn), "completed");
  EXPECT_EQ(row.Json(Column::kMetadata), R"({"status":"cancelled"})");
}

TEST_F(SpanTest, ErrorsFillTheirColumns) {
  Row row = RowOf([](Span& span) { span.CompleteWithError("it broke", "BROKEN"); });
  EXPECT_EQ(row.Text(Column::kStatusColumn), "failed");
  EXPECT_EQ(row.Text(Column::kErrorMessageColumn), "it broke");
  EXPECT_EQ(row.Text(Column::kErrorTypeColumn), "BROKEN");
  row = RowOf([](Span& span) { span.CompleteWithError("only text"); });
  EXPECT_TRUE(row.IsNull(Column::kErrorTypeColumn));
  row = RowOf([](Span& span) { span.CompleteWithError(""); });
  EXPECT_TRUE(row.IsNull(Column::kErrorMessageColumn));
  EXPECT_EQ(row.Text(Column::kStatusColumn), "failed");
}

TEST_F(SpanTest, EveryStatusCodeIsNamedAsAbseilNamesIt) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "message");
    const Row row = RowOf([&](Span& span) { span.CompleteWithError(status); });
    EXPECT_EQ(row.Text(Column::kErrorTypeColumn), absl::StatusCodeToString(status.code()));
    EXPECT_EQ(row.Text(Column::kErrorMessageColumn), "message");
    EXPECT_EQ(row.Text(Column::kStatusColumn), "failed");
  }
  Row row = RowOf([](Span& span) { span.CompleteWithError(absl::InternalError("m"), "OWN"); });
  EXPECT_EQ(row.Text(Column::kErrorTypeColumn), "OWN");
  row = RowOf([](Span& span) { span.CompleteWithError(absl::OkStatus(), "IGNORED"); });
  EXPECT_EQ(row.Text(Column::kStatusColumn), "completed");
  EXPECT_TRUE(row.IsNull(Column::kErrorTypeColumn));
}

TEST_F(SpanTest, ExecutionContextAndAttributesOfEveryType) {
  const Row row = RowOf([](Span& span) {
    span.SetExecutionContext("job", 2193, "model", "region");
    const std::string text = "string";
    span.SetAttributes(std::vector<Attribute>{{"a", text},
                                              {"b", "literal"},
                                              {"c", 1},
                                              {"d", 2.5},
                                              {"e", true},
                                              {"f", std::uint64_t{1} << 63},
                                              {"g", static_cast<const char*>(nullptr)}});
  });
  EXPECT_EQ(row.Text(Column::kJobIdColumn), "job");
  EXPECT_EQ(row.Number(Column::kExecutionId), 2193);
  EXPECT_EQ(row.Text(Column::kModelIdColumn), "model");
  EXPECT_EQ(row.Text(Column::kRegionColumn), "region");
  EXPECT_EQ(row.Json(Column::kMetadata),
            R"({"a":"string","b":"literal","c":1,"d":2.5,"e":true,"f":9223372036854775807,)"
            R"("g":""})");
}

TEST_F(SpanTest, ASecondExecutionContextReplacesWhatIsNotEmpty) {
  const Row row = RowOf([](Span& span) {
    span.SetExecutionContext("job", 1, "model", "region");
    span.SetExecutionContext("", 2, "other", "");
  });
  EXPECT_EQ(row.Text(Column::kJobIdColumn), "job");
  EXPECT_EQ(row.Number(Column::kExecutionId), 2);
  EXPECT_EQ(row.Text(Column::kModelIdColumn), "other");
  EXPECT_EQ(row.Text(Column::kRegionColumn), "region");
}

// --- The table of misuse in span.h, row by row ---

TEST_F(SpanTest, EndingTwiceDoesNothingAndIsCounted) {
  RowOf([](Span& span) {
    span.Complete();
    span.Complete();
    span.Complete("failed");
    span.CompleteWithError("error");
    span.CompleteWithError(absl::InternalError("error"));
  });
  EXPECT_EQ(misuses(), 4U);
  EXPECT_EQ(registry_.Count().journalled, 1U);
}

TEST_F(SpanTest, EndingAMovedFromSpanDoesNothingAndIsCounted) {
  RowOf([](Span& span) {
    Span moved(std::move(span));
    span.Complete();  // NOLINT(bugprone-use-after-move): this is the test.
    EXPECT_FALSE(span.is_recording());
    EXPECT_TRUE(moved.is_recording());
  });
  EXPECT_EQ(misuses(), 1U);
}

TEST_F(SpanTest, SettingAfterTheEndDoesNothingAndIsCounted) {
  const Row row = RowOf([](Span& span) {
    span.Complete();
    span.SetAttribute("late", 1);
    span.SetAttributes(std::vector<Attribute>{{"late", 1}, {"later", 2}});
    span.SetExecutionContext("job", 1, "model", "region");
    span.SetStartTime(absl::UnixEpoch());
    span.SetEndTime(absl::UnixEpoch());
    EXPECT_FALSE(span.is_recording());
    EXPECT_FALSE(span.context().is_valid());
  });
  EXPECT_EQ(misuses(), 5U);
  EXPECT_TRUE(row.IsNull(Column::kMetadata));
  EXPECT_TRUE(row.IsNull(Column::kJobIdColumn));
}

TEST_F(SpanTest, ASpanThatNeverRecordedIsNoMisuse) {
  Span span;
  span.SetAttribute("key", 1);
  span.Complete();
  span.Complete();
  EXPECT_EQ(misuses(), 0U);
  EXPECT_EQ(registry_.Count().started, 0U);
}

TEST_F(SpanTest, AssigningEndsTheSpanThatWasThere) {
  Do([&] {
    Span span = tracer_.StartSpan("s", "first");
    span = tracer_.StartSpan("s", "second");
    Span& same = span;
    span = std::move(same);
    EXPECT_TRUE(span.is_recording());
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].Text(Column::kOperationColumn), "first");
  EXPECT_EQ(rows[1].Text(Column::kOperationColumn), "second");
  EXPECT_EQ(misuses(), 0U);
}

TEST_F(SpanTest, LongTextsAreCutBetweenCharacters) {
  std::string name = "a";
  while (name.size() < 400) name += "é";
  std::string message = "a";
  while (message.size() < 20'000) message += "é";
  Do([&] {
    Span span = tracer_.StartSpan(name, name, {{name, "value"}});
    span.SetExecutionContext(name, 1, name, name);
    span.CompleteWithError(message, name);
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 1U);
  const std::string cut = name.substr(0, 255);
  for (const Column column :
       {Column::kServiceColumn, Column::kOperationColumn, Column::kJobIdColumn,
        Column::kModelIdColumn, Column::kRegionColumn, Column::kErrorTypeColumn}) {
    EXPECT_EQ(rows[0].Text(column), cut) << column;
  }
  EXPECT_EQ(rows[0].Text(Column::kErrorMessageColumn), message.substr(0, 16'383));
  EXPECT_EQ(rows[0].Json(Column::kMetadata), absl::StrCat("{\"", cut, "\":\"value\"}"));
}

TEST_F(SpanTest, TextBeyondTheLimitOfASpanIsLeftOutAndSaid) {
  const std::string text(9'000, 'x');
  Row row = RowOf([&](Span& span) {
    for (int i = 0; i < 5; ++i) span.SetAttribute(absl::StrCat("k", i), text);
    span.SetAttribute("small", 1);
  });
  std::string expected = "{";
  for (int i = 0; i < 3; ++i) absl::StrAppend(&expected, "\"k", i, "\":\"", text, "\",");
  absl::StrAppend(&expected, "\"small\":1,\"spanring.dropped_attributes\":2}");
  EXPECT_EQ(row.Json(Column::kMetadata), expected);
  EXPECT_EQ(registry_.Count().dropped_attributes, 2U);
  // One that is too large by itself, on a span that is small.
  row = RowOf([&](Span& span) { span.SetAttribute("huge", std::string(100'000, 'x')); });
  EXPECT_EQ(row.Json(Column::kMetadata), R"({"spanring.dropped_attributes":1})");
  // The same when what is inline is filled to the last byte.
  for (std::size_t fill = 300; fill < 400; ++fill) {
    row = RowOf([&](Span& span) {
      span.SetAttribute("f", std::string(fill, 'x'));
      span.SetAttribute("huge", std::string(30'001, 'x'));
    });
    EXPECT_EQ(row.Json(Column::kMetadata), absl::StrCat("{\"f\":\"", std::string(fill, 'x'),
                                                        "\",\"spanring.dropped_attributes\":1}"));
  }
}

TEST_F(SpanTest, BadBytesBecomeReplacements) {
  const Row row = RowOf([](Span& span) {
    span.SetAttribute("k\0"sv, "v\xff");
    span.SetExecutionContext("j\0b"sv, 1, "\xc3", "ok");
    span.CompleteWithError("e\xed\xa0\x80", "t\0"sv);
  });
  EXPECT_EQ(row.Json(Column::kMetadata), "{\"k\xef\xbf\xbd\":\"v\xef\xbf\xbd\"}");
  EXPECT_EQ(row.Text(Column::kJobIdColumn),
            "j\xef\xbf\xbd"
            "b");
  EXPECT_EQ(row.Text(Column::kModelIdColumn), "\xef\xbf\xbd");
  EXPECT_EQ(row.Text(Column::kErrorMessageColumn), "e\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(row.Text(Column::kErrorTypeColumn), "t\xef\xbf\xbd");
}

TEST_F(SpanTest, NumbersThatJsonLacksDuplicateKeysAndTheEmptyKey) {
  const Row row = RowOf([](Span& span) {
    span.SetAttribute("nan", std::nan(""));
    span.SetAttribute("inf", INFINITY);
    span.SetAttribute("twice", 1);
    span.SetAttribute("twice", 2);
    span.SetAttribute("", "empty");
  });
  EXPECT_EQ(row.Json(Column::kMetadata),
            R"({"nan":"NaN","inf":"Infinity","twice":1,"twice":2,"":"empty"})");
}

TEST_F(SpanTest, ExplicitTimes) {
  Row row = RowOf([](Span& span) {
    span.SetStartTime(absl::FromUnixNanos(-1'500'000'001));
    span.SetEndTime(absl::FromUnixNanos(-500'000'000));
  });
  EXPECT_EQ(row.UnixUs(Column::kStartedAt), -1'500'001);
  EXPECT_EQ(row.Number(Column::kDurationNs), 1'000'000'001);
  row = RowOf([](Span& span) {
    span.SetStartTime(absl::InfinitePast());
    span.SetEndTime(absl::InfinitePast());
  });
  EXPECT_EQ(row.UnixUs(Column::kStartedAt), INT64_MIN / 1000 - 1);
  row = RowOf([](Span& span) {
    span.SetStartTime(absl::FromUnixNanos(2000));
    span.SetEndTime(absl::FromUnixNanos(1000));
  });
  EXPECT_EQ(row.Number(Column::kDurationNs), 0);
  EXPECT_EQ(row.Json(Column::kMetadata), R"({"spanring.ended_before_start_ns":1000})");
}

// --- Parents ---

TEST_F(SpanTest, ScopesNestAndRestore) {
  Do([&] {
    EXPECT_FALSE(tracer_.CurrentContext().is_valid());
    Span root = tracer_.StartSpan("s", "root");
    EXPECT_FALSE(tracer_.CurrentContext().is_valid()) << "starting does not make current";
    {
      const Scope outer(root);
      EXPECT_EQ(tracer_.CurrentContext(), root.context());
      Span child = tracer_.StartSpan("s", "child");
      EXPECT_EQ(child.context().trace_id, root.context().trace_id);
      {
        const Scope inner(child);
        EXPECT_EQ(tracer_.CurrentContext(), child.context());
        const Scope nothing{SpanContext()};
        EXPECT_EQ(tracer_.CurrentContext(), child.context())
            << "an invalid context changes nothing";
      }
      EXPECT_EQ(tracer_.CurrentContext(), root.context());
    }
    EXPECT_FALSE(tracer_.CurrentContext().is_valid());
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].Text(Column::kOperationColumn), "child");
  EXPECT_EQ(rows[0].Uuid(Column::kParentSpanId), rows[1].Uuid(Column::kSpanIdColumn));
  EXPECT_EQ(rows[0].Uuid(Column::kTraceIdColumn), rows[1].Uuid(Column::kTraceIdColumn));
}

TEST_F(SpanTest, RootsHaveTracesOfTheirOwnAndParentsMayBeRemote) {
  Do([&] {
    Span a = tracer_.StartSpan("s", "a");
    Span b = tracer_.StartSpan("s", "b");
    EXPECT_NE(a.context().trace_id, b.context().trace_id);
    const auto remote =
        SpanContext::FromTraceparent("00-0192f0c17d3e7a2b8c4d5e6f708192a3-00f067aa0ba902b7-01");
    Span child = tracer_.StartSpan(*remote, "s", "child");
    EXPECT_EQ(child.context().trace_id, remote->trace_id);
    Span explicit_root = tracer_.StartSpan(TraceId(1, 2), std::nullopt, "s", "root");
    EXPECT_EQ(explicit_root.context().trace_id, TraceId(1, 2));
    const Scope scope(a);
    Span still_root = tracer_.StartSpan(TraceId(3, 4), std::nullopt, "s", "root");
    EXPECT_EQ(still_root.context().trace_id, TraceId(3, 4));
  });
  int with_parent = 0;
  for (const Row& row : Rows()) {
    if (row.IsNull(Column::kParentSpanId)) continue;
    ++with_parent;
    EXPECT_EQ(row.Uuid(Column::kParentSpanId), "000000000000000000f067aa0ba902b7");
  }
  EXPECT_EQ(with_parent, 1);
}

TEST_F(SpanTest, TheCurrentContextIsTheThreadsOwn) {
  Do([&] {
    Span span = tracer_.StartSpan("s", "o");
    const Scope scope(span);
    Do([&] { EXPECT_FALSE(tracer_.CurrentContext().is_valid()); });
  });
}

TEST_F(SpanTest, MayEndOnAnotherThread) {
  Do([&] {
    Span span = tracer_.StartSpan("s", "travels");
    Do([moved = std::make_shared<Span>(std::move(span))] {
      moved->SetAttribute("where", "elsewhere");
      moved->Complete();
    });
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].Json(Column::kMetadata), R"({"where":"elsewhere"})");
  EXPECT_EQ(registry_.Count().open, 0U);
}

// --- Exceptions ---

TEST_F(SpanTest, AnExceptionSinceTheStartFailsTheSpan) {
  Do([&] {
    try {
      Span span = tracer_.StartSpan("s", "o");
      throw std::runtime_error("on purpose");
    } catch (const std::runtime_error&) {
    }
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].Text(Column::kStatusColumn), "failed");
  EXPECT_EQ(rows[0].Text(Column::kErrorTypeColumn), "exception");
}

TEST_F(SpanTest, AnExceptionFromBeforeTheStartDoesNot) {
  struct Cleanup {
    Tracer* tracer;
    ~Cleanup() {
      Span span = tracer->StartSpan("s", "while unwinding");
      try {
        Span inner = tracer->StartSpan("s", "inner");
        throw std::runtime_error("a second one");
      } catch (const std::runtime_error&) {
      }
    }
  };
  Do([&] {
    try {
      const Cleanup cleanup{&tracer_};
      throw std::runtime_error("on purpose");
    } catch (const std::runtime_error&) {
    }
    try {
      throw std::runtime_error("caught, no more in flight");
    } catch (const std::runtime_error&) {
      Span span = tracer_.StartSpan("s", "in a handler");
    }
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].Text(Column::kStatusColumn), "failed") << "inner";
  EXPECT_EQ(rows[1].Text(Column::kStatusColumn), "completed");
  EXPECT_EQ(rows[2].Text(Column::kStatusColumn), "completed");
}

TEST_F(SpanTest, OffRecordsNothing) {
  internal::g_mode.store(internal::Mode::kOff);
  Do([&] {
    Span span = tracer_.StartSpan("s", "o", {{"k", 1}});
    EXPECT_FALSE(span.is_recording());
    EXPECT_FALSE(span.context().is_valid());
    EXPECT_EQ(span.context().ToTraceparent(), "");
    const Scope scope(span);
    EXPECT_FALSE(tracer_.CurrentContext().is_valid());
    EXPECT_TRUE(tracer_.NewTraceId().is_nil());
  });
  EXPECT_EQ(registry_.Count().started, 0U);
}

}  // namespace
}  // namespace spanring
