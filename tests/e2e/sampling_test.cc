// What is stored of traces that are not sampled, that the sums are those of all spans all the same,
// and that services agree on what is sampled.
#include "ring/sampling.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "e2e/harness.h"
#include "support/database.h"

namespace spanring::test {
namespace {

constexpr absl::Duration kUsual = absl::Milliseconds(10);

RunningTracer::Adjust Ratio(double ratio) {
  return [ratio](Options& options) {
    options.sample_ratio = ratio;
    options.batch_rows = 500;
    options.shippers = 1;  // So that ids are in the order of ending.
  };
}

// The operations stored of each trace, in their order of ending.
std::map<std::string, std::string> Stored(const TestDatabase& database) {
  std::map<std::string, std::string> stored;
  for (const auto& row :
       database.Rows("SELECT trace_id::text, string_agg(operation, ' ' ORDER BY id)"
                     " FROM trace_spans GROUP BY trace_id")) {
    stored[row[0]] = row[1];
  }
  return stored;
}

// Three spans: two children, one after the other, and their parent.
struct Trace {
  absl::Duration first = kUsual;
  absl::Duration second = kUsual;
  bool first_fails = false;
  bool second_fails = false;
};

std::string Record(const Trace& trace, absl::Time start) {
  Tracer tracer;
  Span root = tracer.StartSpan("runner", "root");
  root.SetStartTime(start);
  root.SetExecutionContext("job", 7, "model", "region");
  const std::string id = root.context().trace_id.ToUuid();
  const auto child = [&](const char* operation, absl::Duration duration, bool fails) {
    Span span = tracer.StartSpan(root.context(), "router", operation);
    span.SetStartTime(start);
    span.SetEndTime(start + duration);
    fails ? span.CompleteWithError("no route", "NoRoute") : span.Complete();
  };
  child("first", trace.first, trace.first_fails);
  child("second", trace.second, trace.second_fails);
  root.SetEndTime(start + absl::Milliseconds(500));
  root.Complete();
  return id;
}

std::string SumOf(const TestDatabase& database, const std::string& what) {
  return database.Value(absl::StrCat("SELECT ", what, " FROM trace_rollups WHERE hours = 1"));
}

TEST(Sampling, FailedAndSlowSpansAreStoredWithTheirCallersAndAllAreSummed) {
  const TestDatabase database;
  RunningTracer tracer(database.conninfo(), Ratio(0.1));
  const ring::SamplingRule rule(0.1, true);
  // Two whole hours ago, so that one hour has them all.
  const absl::Time start = absl::Now() - absl::Hours(2);
  std::map<std::string, std::string> expected;
  const int traces = static_cast<int>(3000 * Scale()) + 1000;
  for (int i = 0; i < traces; ++i) {
    Trace trace;
    std::string kept;
    if (i >= 200 && i % 50 == 0) {
      trace.first_fails = true;
      kept = "first second root";
    } else if (i >= 200 && i % 50 == 1) {
      trace.second_fails = true;
      kept = "second root";
    } else if (i >= 200 && i % 50 == 2) {
      trace.second = 4 * kUsual;
      kept = "second root";
    }
    const std::string id = Record(trace, start);
    if (rule.Samples(*TraceId::Parse(id))) kept = "first second root";
    if (!kept.empty()) expected[id] = kept;
    // Before the ring is full, where the drainer has no processor.
    if (i % 1000 == 999) {
      ASSERT_TRUE(tracer.Flush().ok());
    }
  }
  ASSERT_TRUE(tracer.Flush().ok());
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(Stored(database), expected);

  const Stats stats = tracer.Counted();
  EXPECT_EQ(stats.dropped, 0U);
  EXPECT_EQ(stats.started, static_cast<std::uint64_t>(3 * traces));
  EXPECT_GT(stats.sampled_out, static_cast<std::uint64_t>(2 * traces));
  ExpectDatabaseAgrees(database.connection(), tracer);
  EXPECT_EQ(SumOf(database, "sum(spans)"), absl::StrCat(3 * traces));
  EXPECT_EQ(SumOf(database, "sum(roots)"), absl::StrCat(traces));
  EXPECT_EQ(SumOf(database, "sum(spans) FILTER (WHERE status = 'failed')"),
            database.Value("SELECT count(*) FROM trace_spans WHERE status = 'failed'"));
  EXPECT_EQ(SumOf(database, "sum(sum_ns) FILTER (WHERE operation = 'root')"),
            absl::StrCat(traces * 500'000'000LL));
  EXPECT_EQ(database.Value("SELECT sum(n) FROM trace_rollups, unnest(counts) AS n"
                           " WHERE hours = 1 AND operation = 'root'"),
            absl::StrCat(traces));
  // What is stored of the others says that it is not all.
  for (const auto& row : database.Rows("SELECT DISTINCT trace_id::text, metadata::text"
                                       " FROM trace_spans")) {
    EXPECT_EQ(row[1],
              rule.Samples(*TraceId::Parse(row[0])) ? "<null>" : R"({"spanring.sampled": false})")
        << row[0];
  }
}

TEST(Sampling, TheParentsDecisionGoesWithTheTrace) {
  const TestDatabase database;
  RunningTracer tracer(database.conninfo(), Ratio(0));
  const auto parent = [](const char* flags) {
    return *SpanContext::FromTraceparent(
        absl::StrCat("00-0192f0c17d3e7a2b8c4d5e6f708192a3-00f067aa0ba902b7-", flags));
  };
  Tracer recorder;
  const auto record = [&](const SpanContext& from, const char* operation) {
    static constinit CallSite site("router", "by_site");
    Span span = recorder.StartSpan(from, "router", operation);
    const Scope scope(span);
    recorder.StartSpan("router", absl::StrCat(operation, "_child")).Complete();
    Span phase = recorder.StartSpan(site);
    phase.Next(site);
    phase.Complete();
    EXPECT_EQ(span.context().sampled, from.sampled);
    EXPECT_EQ(recorder.CurrentContext().sampled, from.sampled);
    EXPECT_TRUE(span.context().ToTraceparent().ends_with(from.sampled ? "-01" : "-00"));
    return SpanContext(span.context());
  };
  record(parent("01"), "sampled");
  record(parent("00"), "left_out");
  // A trace that begins here is decided here; one of whose parent only the ids are known, too.
  Span root = recorder.StartSpan("router", "root");
  EXPECT_FALSE(root.context().sampled);
  recorder.StartSpan(TraceId(1, 2), SpanId(3), "router", "by_ids").Complete();
  root.Complete();
  ASSERT_TRUE(tracer.Flush().ok());
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(database.Value("SELECT string_agg(operation, ' ' ORDER BY id) FROM trace_spans"),
            "sampled_child by_site by_site sampled");
  EXPECT_EQ(tracer.Counted().sampled_out, 6U);
  ExpectDatabaseAgrees(database.connection(), tracer);
}

TEST(Sampling, TheParentsDecisionStaysThroughPhasesThreadsAndTasks) {
  const TestDatabase database;
  RunningTracer tracer(database.conninfo(), Ratio(0));
  static constinit CallSite site("router", "phase");
  Tracer recorder;
  const SpanContext parent{.trace_id = TraceId(1, 2), .span_id = SpanId(3), .sampled = true};
  Span span = recorder.StartSpan(parent, site);
  span.SetAttribute("key", "value");
  span.Next(site);  // What has attributes.
  span.SetAttribute("key", std::string(1000, 'v'));
  span.Next(site);  // What has outgrown its slot.
  span.Next(site);
  const auto task = [&] {
    const Scope scope(parent);
    return BindContext([&] { recorder.StartSpan(site).Complete(); });
  }();
  std::thread([&] {
    span.Next(site);  // From another thread.
    span.Complete();
    task();
  }).join();
  ASSERT_TRUE(tracer.Flush().ok());
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(tracer.Counted().persisted, 6U);
  EXPECT_EQ(tracer.Counted().sampled_out, 0U);
}

TEST(Sampling, AParentIsNotAskedWhereTheSamplerSaysSo) {
  const TestDatabase database;
  RunningTracer tracer(database.conninfo(), [](Options& o) { o.sample_by_parent = false; });
  Tracer recorder;
  recorder
      .StartSpan({.trace_id = TraceId(1, 2), .span_id = SpanId(3), .sampled = false}, "router",
                 "route")
      .Complete();
  ExpectAllArrived(database.connection(), tracer, 1);
}

TEST(Sampling, RowsThatTheServerRefusesLeaveTheSumsOfTheOthers) {
  const TestDatabase database;
  database.Run("ALTER TABLE trace_spans ADD CONSTRAINT refused CHECK (operation <> 'refused')");
  RunningTracer tracer(database.conninfo(), Ratio(0));
  Tracer recorder;
  const absl::Time now = absl::Now();
  for (int i = 0; i < 1000; ++i) {
    Span span = recorder.StartSpan("runner", i % 50 == 7 ? "refused" : "execute");
    span.SetStartTime(now);
    span.SetEndTime(now + kUsual);
    if (i % 10 == 7) span.CompleteWithError("it failed", "error");
  }
  tracer.Flush().IgnoreError();
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"), "80");
  EXPECT_EQ(Dropped(tracer, DropReason::kRejected), 20U);
  EXPECT_EQ(tracer.Counted().sampled_out, 900U);
  EXPECT_EQ(SumOf(database, "sum(spans)"), "980");
  ExpectDatabaseAgrees(database.connection(), tracer);
}

TEST(Sampling, WhereAllRowsThatAreStoredAreRefusedTheOthersAreSummed) {
  const TestDatabase database;
  database.Run("ALTER TABLE trace_spans ADD CONSTRAINT refused CHECK (operation <> 'refused')");
  RunningTracer tracer(database.conninfo(), Ratio(0));
  Tracer recorder;
  for (int i = 0; i < 100; ++i) {
    Span span = recorder.StartSpan("runner", i == 7 ? "refused" : "execute");
    if (i == 7) span.CompleteWithError("it failed", "error");
  }
  tracer.Flush().IgnoreError();
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(Dropped(tracer, DropReason::kRejected), 1U);
  EXPECT_EQ(tracer.Counted().sampled_out, 99U);
  EXPECT_EQ(SumOf(database, "sum(spans)"), "99");
  ExpectDatabaseAgrees(database.connection(), tracer);
}

TEST(Sampling, ASpanThatWasReportedAsOpenIsClosedThoughItIsNotStored) {
  const TestDatabase database;
  RunningTracer tracer(database.conninfo(), [](Options& o) {
    o.sample_ratio = 0;
    o.open_span_ms = 100;
  });
  Span span = Tracer().StartSpan("runner", "long");
  EXPECT_TRUE(
      Eventually([&] { return database.Value("SELECT count(*) FROM trace_open_spans") == "1"; }));
  span.Complete();
  ASSERT_TRUE(tracer.Flush().ok());
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_open_spans"), "0");
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"), "0");
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(tracer.Counted().sampled_out, 1U);
}

}  // namespace
}  // namespace spanring::test
