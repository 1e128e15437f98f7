// From the public calls to the row: what each kind of use, and of misuse, leaves in the database.
#include "spanring/span.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "flush/row.h"
#include "ring/this_thread.h"
#include "spanring/tracer.h"

namespace spanring {
namespace {

using namespace std::string_view_literals;
using flush::Column;
using flush::Row;

// Tracing is on, into a registry of the test's own that nobody drains but Rows().
class SpanTest : public testing::Test {
 protected:
  SpanTest() : registry_(*new ring::Registry(1024 * 1024, 100)) {
    registries_.push_back(&registry_);
    ring::SetRegistry(&registry_);
    internal::g_mode.store(internal::Mode::kOn);
  }
  ~SpanTest() override {
    internal::g_mode.store(internal::Mode::kOff);
    ring::SetRegistry(nullptr);
  }

  // Runs on a thread of its own, which takes its producer from this test's registry.
  template <typename Body>
  static void Do(Body body) {
    std::thread(body).join();
  }
  std::vector<Row> Rows() {
    const platform::TickCalibration clock;
    flush::RowEncoder encoder("default");
    std::vector<Row> rows;
    for (ring::Producer* p = registry_.first(); p != nullptr; p = p->next) {
      p->ring().Refresh();
      while (const ring::RecordHeader* record = p->ring().Peek()) {
        std::vector<std::uint8_t> bytes;
        encoder.Append(*record, clock, bytes);
        rows.push_back(flush::OnlyRow(bytes));
        p->ring().Advance(record);
      }
      p->ring().GiveBack();
    }
    return rows;
  }
  template <typename Body>
  Row RowOf(Body body) {
    Do([&] {
      Span span = tracer_.StartSpan("service", "operation");
      body(span);
    });
    const std::vector<Row> rows = Rows();
    EXPECT_EQ(rows.size(), 1U);
    return rows.empty() ? Row() : rows[0];
  }
  std::uint64_t misuses() const { return registry_.Count().misuses; }

  Tracer tracer_;
  ring::Registry& registry_;
  // Never destroyed, for the leak checker.
  static inline auto& registries_ = *new std::vector<ring::Registry*>;
};

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

// --- Phases ---

constinit CallSite g_prepare("runner", "prepare");
constinit CallSite g_send("runner", "send");
constinit CallSite g_wait("runner", "wait");

TEST_F(SpanTest, NextEndsOneSpanAndStartsItsSiblingAtTheSameMoment) {
  const SpanContext parent{TraceId(1, 2), SpanId(3), true};
  Do([&] {
    Span phase = tracer_.StartSpan(parent, g_prepare);
    phase.SetExecutionContext("job-7", 2193, "llama", "eu");
    phase.SetAttribute("large", std::string(1000, 'x'));
    phase.Next(g_send);
    phase.Next(g_wait);
    phase.SetAttribute("of", "wait");
    phase.Complete("timeout");
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 3U);
  const char* const names[] = {"prepare", "send", "wait"};
  std::set<std::string> ids;
  for (std::size_t i = 0; i < 3; ++i) {
    SCOPED_TRACE(names[i]);
    EXPECT_EQ(rows[i].Text(Column::kOperationColumn), names[i]);
    EXPECT_EQ(rows[i].Uuid(Column::kTraceIdColumn), rows[0].Uuid(Column::kTraceIdColumn));
    EXPECT_EQ(rows[i].Uuid(Column::kParentSpanId), rows[0].Uuid(Column::kParentSpanId));
    EXPECT_EQ(rows[i].Text(Column::kStatusColumn), i == 2 ? "timeout" : "completed");
    ids.insert(rows[i].Uuid(Column::kSpanIdColumn));
    if (i > 0) {
      // To the microsecond that PostgreSQL's time rounds to.
      EXPECT_LE(
          std::abs(rows[i].UnixUs(Column::kStartedAt) - rows[i - 1].UnixUs(Column::kCompletedAt)),
          1);
      EXPECT_TRUE(rows[i].IsNull(Column::kExecutionId)) << "of the first phase only";
      EXPECT_TRUE(rows[i].IsNull(Column::kJobIdColumn));
    }
  }
  EXPECT_EQ(ids.size(), 3U);
  EXPECT_EQ(rows[0].Number(Column::kExecutionId), 2193);
  EXPECT_EQ(rows[2].Json(Column::kMetadata), R"({"of":"wait"})");
  const Stats stats = registry_.Count();
  EXPECT_EQ(stats.started, 3U);
  EXPECT_EQ(stats.open, 0U);
}

TEST_F(SpanTest, NextOnAnotherThreadGoesOnThere) {
  Do([&] {
    Span phase = tracer_.StartSpan(SpanContext{TraceId(1, 2), SpanId(3), true}, g_prepare);
    Do([&] {
      phase.Next(g_send);
      phase.Next(g_wait);
    });
    phase.Complete();
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 3U);
  for (const Row& row : rows) {
    EXPECT_EQ(row.Uuid(Column::kTraceIdColumn), rows[0].Uuid(Column::kTraceIdColumn));
    EXPECT_EQ(row.Uuid(Column::kParentSpanId), rows[0].Uuid(Column::kParentSpanId));
  }
  EXPECT_EQ(registry_.Count().open, 0U);
  EXPECT_EQ(registry_.Count().started, 3U);
}

TEST_F(SpanTest, NextKeepsAnEndThatWasGivenAndStartsNow) {
  const absl::Time end = absl::FromUnixSeconds(1'700'000'000);
  Do([&] {
    Span phase = tracer_.StartSpan(g_prepare);
    phase.SetStartTime(end - absl::Seconds(5));
    phase.SetEndTime(end);
    phase.Next(g_send);
  });
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].UnixUs(Column::kCompletedAt), absl::ToUnixMicros(end));
  EXPECT_GT(rows[1].UnixUs(Column::kStartedAt), absl::ToUnixMicros(end + absl::Hours(24)));
}

TEST_F(SpanTest, NextWhileSwitchedOffOnlyEnds) {
  Do([&] {
    Span phase = tracer_.StartSpan(g_prepare);
    internal::g_mode.store(internal::Mode::kOff);
    phase.Next(g_send);
    EXPECT_FALSE(phase.is_recording());
  });
  EXPECT_EQ(Rows().size(), 1U);
  EXPECT_EQ(registry_.Count().started, 1U);
}

TEST_F(SpanTest, NextAfterTheEndIsMisuse) {
  Do([&] {
    Span phase = tracer_.StartSpan(g_prepare);
    phase.Complete();
    phase.Next(g_send);
    Span nothing;
    nothing.Next(g_send);
  });
  EXPECT_EQ(Rows().size(), 1U);
  EXPECT_EQ(misuses(), 1U);
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
