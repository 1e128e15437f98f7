// Random spans, written through the whole way and read back: every column equals what was written.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "e2e/harness.h"
#include "support/database.h"

namespace spanring::test {
namespace {

using nlohmann::json;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr char kReplacement[] = "\xef\xbf\xbd";

// What is given to the tracer, and what it must become.
struct Text {
  std::string raw;
  std::string expected;
};

struct Expected {
  std::string trace_id;
  std::optional<std::string> parent;
  std::string service, operation, status;
  std::string job_id, model_id, region, error_type, error_message;  // "" is NULL
  std::optional<std::int64_t> execution_id;
  std::optional<std::int64_t> start_ns;  // Given, else by the clock, as the end.
  std::optional<std::int64_t> end_ns;
  std::int64_t clock_start_us = 0;  // Around the calls.
  std::int64_t clock_end_us = 0;
  json metadata;  // null: SQL NULL
};

struct OpenOne {
  Span span;
  std::uint64_t id = 0;
  Expected expected;
};

std::int64_t NowUs() { return absl::ToUnixMicros(absl::Now()); }

std::int64_t FloorToUs(std::int64_t ns) { return ns >= 0 ? ns / 1000 : -((-(ns + 1)) / 1000) - 1; }

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  std::uint64_t Below(std::uint64_t n) { return random_() % n; }
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }
  template <typename Container>
  auto Pick(const Container& container) {
    return container[Below(std::size(container))];
  }
  std::mt19937_64& random() { return random_; }

  // A valid character of any plane.
  std::string Character() {
    switch (Below(8)) {
      case 0:
        return Encode(1 + static_cast<std::uint32_t>(Below(0x1f)));  // Control.
      case 1:
        return std::string(1, Pick(std::string_view("\"\\/\x7f,{}':$")));
      case 2:
        return Encode(0x80 + static_cast<std::uint32_t>(Below(0x780)));
      case 3: {
        const auto point = 0x800 + static_cast<std::uint32_t>(Below(0xf800));
        return Encode(point >= 0xd800 && point < 0xe000 ? 0xffff : point);
      }
      case 4:
        return Encode(0x10000 + static_cast<std::uint32_t>(Below(0x100000)));
      default:
        return std::string(1, static_cast<char>(0x20 + Below(0x5f)));
    }
  }

  // Up to `characters`, sometimes with bytes that no text may hold.
  Text Short(std::uint64_t characters) {
    static const std::vector<Text> kInvalid = {
        {std::string(1, '\0'), kReplacement},
        {"\xff", kReplacement},
        {"\xc0\xaf", Repeat(2)},
        {"\xed\xa0\x80", Repeat(3)},
        {"\xf4\x90\x80\x80", Repeat(4)},
        {"\xe2\x82x", Repeat(2) + "x"},
    };
    Text text;
    for (std::uint64_t n = Below(characters + 1); n > 0; --n) {
      const bool invalid = OneIn(40);
      const Text part = invalid ? Pick(kInvalid) : Valid(Character());
      text.raw += part.raw;
      text.expected += part.expected;
    }
    return text;
  }

  // Valid text longer than `limit` bytes, of which whole characters within the limit are kept.
  Text Long(std::size_t limit) {
    Text text;
    bool full = false;
    while (text.raw.size() <= limit + 100) {
      const std::string character = Character();
      full = full || text.expected.size() + character.size() > limit;
      text.raw += character;
      if (!full) text.expected += character;
    }
    return text;
  }

  Text Name() { return OneIn(50) ? Long(255) : Short(OneIn(10) ? 60 : 12); }

  std::int64_t Integer() {
    static constexpr std::int64_t kOdd[] = {kMin, kMin + 1, -1, 0, 1, kMax - 1, kMax, 1LL << 53};
    return OneIn(3) ? Pick(kOdd) : static_cast<std::int64_t>(random_()) >> Below(64);
  }

  double Number() {
    static constexpr double kOdd[] = {0.0,
                                      -0.0,
                                      std::numeric_limits<double>::max(),
                                      std::numeric_limits<double>::lowest(),
                                      std::numeric_limits<double>::min(),
                                      std::numeric_limits<double>::denorm_min(),
                                      std::numeric_limits<double>::epsilon(),
                                      std::numeric_limits<double>::infinity(),
                                      -std::numeric_limits<double>::infinity(),
                                      std::numeric_limits<double>::quiet_NaN(),
                                      0.1,
                                      1e22,
                                      -1.0 / 3};
    return OneIn(2) ? Pick(kOdd) : std::bit_cast<double>(random_());
  }

  std::int64_t Nanoseconds() {
    if (OneIn(4)) return Integer();
    const std::int64_t now = absl::ToUnixNanos(absl::Now());
    return now - static_cast<std::int64_t>(Below(86'400'000'000'000));
  }

 private:
  static Text Valid(std::string text) { return {text, text}; }
  static std::string Repeat(int times) {
    std::string text;
    while (times-- > 0) text += kReplacement;
    return text;
  }
  static std::string Encode(std::uint32_t point) {
    const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
    if (point < 0x80) return {byte(point)};
    if (point < 0x800) return {byte(0xc0 | point >> 6), byte(0x80 | (point & 63))};
    if (point < 0x10000) {
      return {byte(0xe0 | point >> 12), byte(0x80 | (point >> 6 & 63)), byte(0x80 | (point & 63))};
    }
    return {byte(0xf0 | point >> 18), byte(0x80 | (point >> 12 & 63)),
            byte(0x80 | (point >> 6 & 63)), byte(0x80 | (point & 63))};
  }

  std::mt19937_64 random_;
};

std::string SpanUuid(std::uint64_t id) { return TraceId(0, id).ToUuid(); }

void SetRandomAttribute(Generator& g, OpenOne& one) {
  const Text key = g.Name();
  json& metadata = one.expected.metadata;
  switch (g.Below(5)) {
    case 0: {
      const Text value = g.OneIn(100) ? g.Long(3000) : g.Short(30);
      one.span.SetAttribute(key.raw, value.raw);
      // A long value is kept whole: it is the sum that is limited.
      metadata[key.expected] = value.raw.size() > 1000 ? value.raw : value.expected;
      break;
    }
    case 1: {
      const std::int64_t value = g.Integer();
      one.span.SetAttribute(key.raw, value);
      metadata[key.expected] = value;
      break;
    }
    case 2: {
      const double value = g.Number();
      one.span.SetAttribute(key.raw, value);
      if (std::isfinite(value)) {
        metadata[key.expected] = value;
      } else {
        metadata[key.expected] = std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
      }
      break;
    }
    case 3: {
      const bool value = g.OneIn(2);
      one.span.SetAttribute(key.raw, value);
      metadata[key.expected] = value;
      break;
    }
    default: {
      const std::uint64_t value = g.random()();
      one.span.SetAttribute(key.raw, value);
      metadata[key.expected] =
          static_cast<std::int64_t>(std::min(value, static_cast<std::uint64_t>(kMax)));
    }
  }
}

void SetRandomContext(Generator& g, OpenOne& one) {
  const Text job = g.Name();
  const Text model = g.Name();
  const Text region = g.Name();
  const std::int64_t execution = g.Integer();
  one.span.SetExecutionContext(job.raw, execution, model.raw, region.raw);
  Expected& e = one.expected;
  e.execution_id = execution;
  if (!job.raw.empty()) e.job_id = job.expected;
  if (!model.raw.empty()) e.model_id = model.expected;
  if (!region.raw.empty()) e.region = region.expected;
}

OpenOne StartRandomSpan(Generator& g) {
  static constinit CallSite kSite("e2e-site", "e2e.fixed \xf0\x9f\x8c\x8d");
  Tracer tracer;
  OpenOne one;
  Expected& e = one.expected;
  TraceId trace;
  if (!g.OneIn(3)) trace = TraceId(g.random()(), g.random()() | 1);
  std::optional<SpanId> parent;
  if (g.OneIn(2)) parent = SpanId(g.random()() | 1);
  e.clock_start_us = NowUs();
  if (g.OneIn(4)) {
    one.span = tracer.StartSpan(trace, parent, kSite);
    e.service = "e2e-site";
    e.operation = "e2e.fixed \xf0\x9f\x8c\x8d";
  } else {
    const Text service = g.Name();
    const Text operation = g.Name();
    one.span = tracer.StartSpan(trace, parent, service.raw, operation.raw);
    e.service = service.raw.empty() ? "e2e" : service.expected;
    e.operation = operation.expected;
  }
  one.id = one.span.context().span_id.value();
  e.trace_id = (trace.is_nil() ? one.span.context().trace_id : trace).ToUuid();
  if (parent) e.parent = SpanUuid(parent->value());
  for (std::uint64_t n = g.OneIn(3) ? 0 : g.Below(g.OneIn(20) ? 10 : 4); n > 0; --n) {
    SetRandomAttribute(g, one);
  }
  if (g.OneIn(2)) SetRandomContext(g, one);
  if (g.OneIn(10)) SetRandomContext(g, one);
  if (g.OneIn(2)) {
    e.start_ns = g.Nanoseconds();
    one.span.SetStartTime(absl::FromUnixNanos(*e.start_ns));
  } else if (g.OneIn(20)) {
    const bool future = g.OneIn(2);
    e.start_ns = future ? kMax : kMin;
    one.span.SetStartTime(
        future ? absl::InfiniteFuture()
               : absl::FromCivil(absl::CivilSecond(1000, 1, 1), absl::UTCTimeZone()));
  }
  return one;
}

std::int64_t AddSaturating(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? (b > 0 ? kMax : kMin) : sum;
}

void EndRandomSpan(Generator& g, OpenOne& one) {
  Expected& e = one.expected;
  // An end by the clock behind a start that was given is not compared: give both or neither.
  if (e.start_ns || g.OneIn(10)) {
    e.end_ns =
        g.OneIn(4) || !e.start_ns
            ? g.Nanoseconds()
            : AddSaturating(*e.start_ns, static_cast<std::int64_t>(g.Below(10'000'000'000)) *
                                             (*e.start_ns > 0 ? -1 : 1) * (g.OneIn(10) ? 1 : -1));
    if (!e.start_ns) {
      e.start_ns = g.Nanoseconds();
      one.span.SetStartTime(absl::FromUnixNanos(*e.start_ns));
    }
    one.span.SetEndTime(absl::FromUnixNanos(*e.end_ns));
  }
  e.status = "failed";
  switch (g.Below(8)) {
    case 0:
      one.span.CompleteWithError(absl::DeadlineExceededError("too late"));
      e.error_type = "DEADLINE_EXCEEDED";
      e.error_message = "too late";
      break;
    case 1:
    case 2: {
      const Text message = g.OneIn(100) ? g.Long(16'384) : g.Short(60);
      const Text type = g.Name();
      one.span.CompleteWithError(message.raw, type.raw);
      e.error_message = message.expected;
      e.error_type = type.expected;
      break;
    }
    case 3: {
      static constexpr std::string_view kWords[] = {"completed", "failed", "timeout",
                                                    "COMPLETED", "Failed", "TimeOut"};
      const std::size_t n = g.Below(6);
      one.span.Complete(kWords[n]);
      e.status = kWords[n % 3];
      break;
    }
    case 4: {
      const Text word = {"cancelled \xe2\x82\xac", "cancelled \xe2\x82\xac"};
      one.span.Complete(word.raw);
      e.status = "completed";
      e.metadata["status"] = word.expected;
      break;
    }
    case 5: {
      const Span ends_here = std::move(one.span);
      e.status = "completed";
      break;
    }
    case 6:
      one.span.CompleteWithError(absl::OkStatus(), "ignored");
      e.status = "completed";
      break;
    default:
      one.span.Complete();
      e.status = "completed";
  }
  e.clock_end_us = NowUs();
}

void ExpectTimes(const Expected& e, const std::string& started, const std::string& completed,
                 const std::string& duration, json& metadata) {
  const std::int64_t started_us = std::stoll(started);
  const std::int64_t completed_us = std::stoll(completed);
  const std::int64_t duration_ns = std::stoll(duration);
  if (!e.start_ns) {
    // Two clocks, each read for itself: a second is for a step of the wall clock.
    ASSERT_GE(started_us, e.clock_start_us - 1'000'000);
    ASSERT_LE(completed_us, e.clock_end_us + 1'000'000);
    ASSERT_GE(duration_ns, 0);
    ASSERT_LE(std::abs(completed_us - started_us - duration_ns / 1000), 1);
    return;
  }
  const auto exact = static_cast<__int128>(*e.end_ns) - *e.start_ns;
  const auto expected_ns =
      static_cast<std::int64_t>(std::clamp<__int128>(exact, 0, static_cast<__int128>(kMax)));
  ASSERT_EQ(started_us, FloorToUs(*e.start_ns));
  ASSERT_EQ(duration_ns, expected_ns);
  if (exact == expected_ns) {
    ASSERT_EQ(completed_us, FloorToUs(*e.end_ns));
  } else if (exact < 0) {
    ASSERT_EQ(completed_us, started_us);
    const auto early = static_cast<std::int64_t>(std::min(-exact, static_cast<__int128>(kMax)));
    ASSERT_EQ(metadata.value("spanring.ended_before_start_ns", std::int64_t{0}), early);
    metadata.erase("spanring.ended_before_start_ns");
    if (metadata.empty() && e.metadata.is_null()) metadata = nullptr;
  }
}

constexpr char kSelect[] =
    "SELECT span_id, trace_id, parent_span_id, service, operation,"
    " (extract(epoch FROM started_at) * 1000000)::bigint,"
    " (extract(epoch FROM completed_at) * 1000000)::bigint,"
    " duration_ns, duration_ms, status, job_id, execution_id, model_id, region, error_type,"
    " error_message, metadata, created_at BETWEEN now() - interval '1 hour' AND now()"
    " FROM trace_spans";

void ExpectRow(const Expected& e, const PGresult* rows, int row) {
  const auto cell = [&](int column) { return std::string(pg::Cell(rows, row, column)); };
  const auto is_null = [&](int column) { return PQgetisnull(rows, row, column) != 0; };
  const auto expect_text = [&](int column, const std::string& expected) {
    EXPECT_EQ(is_null(column), expected.empty()) << PQfname(rows, column);
    EXPECT_EQ(cell(column), expected) << PQfname(rows, column);
  };
  EXPECT_EQ(cell(1), e.trace_id);
  EXPECT_EQ(is_null(2), !e.parent);
  EXPECT_EQ(cell(2), e.parent.value_or(""));
  EXPECT_EQ(cell(3), e.service);
  EXPECT_EQ(cell(4), e.operation);
  json metadata = is_null(16) ? json() : json::parse(cell(16));
  ExpectTimes(e, cell(5), cell(6), cell(7), metadata);
  EXPECT_EQ(std::stoll(cell(8)),
            std::min<std::int64_t>(std::stoll(cell(7)) / 1'000'000, 2'147'483'647));
  EXPECT_EQ(cell(9), e.status);
  expect_text(10, e.job_id);
  EXPECT_EQ(is_null(11), !e.execution_id);
  if (e.execution_id) {
    EXPECT_EQ(std::stoll(cell(11)), *e.execution_id);
  }
  expect_text(12, e.model_id);
  expect_text(13, e.region);
  expect_text(14, e.error_type);
  expect_text(15, e.error_message);
  EXPECT_EQ(metadata, e.metadata) << cell(16);
  EXPECT_EQ(cell(17), "t") << "created_at";
}

TEST(Property, EveryColumnOfRandomSpansReadsBackAsItWasWritten) {
  const TestDatabase database;
  const std::uint64_t seed = Seed();
  RunningTracer tracer(database.conninfo(), [](Options& o) {
    o.ring_bytes = 64 << 20;
    o.journal_bytes = 1 << 30;
  });
  const auto count = static_cast<std::size_t>(200'000 * Scale());
  Generator g(seed);
  std::unordered_map<std::uint64_t, Expected> expected;
  std::vector<OpenOne> open;
  for (std::size_t started = 0; started < count || !open.empty();) {
    if (started < count && (open.empty() || (open.size() < 64 && g.OneIn(2)))) {
      open.push_back(StartRandomSpan(g));
      // The ring holds tens of thousands of them.
      if (++started % 20'000 == 0) {
        ASSERT_TRUE(tracer.Flush(300).ok());
      }
    } else {
      std::swap(open[g.Below(open.size())], open.back());
      EndRandomSpan(g, open.back());
      ASSERT_TRUE(expected.emplace(open.back().id, std::move(open.back().expected)).second);
      open.pop_back();
    }
  }
  const absl::Status flushed = tracer.Flush(300);
  ASSERT_TRUE(flushed.ok()) << flushed;
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(database.connection(), tracer);
  EXPECT_EQ(database.Value("SELECT count(DISTINCT id) FROM trace_spans"), std::to_string(count));

  database.Run(absl::StrCat("BEGIN; DECLARE all_spans NO SCROLL CURSOR FOR ", kSelect));
  std::size_t seen = 0;
  for (;;) {
    const auto rows = pg::Query(database.connection(), "FETCH 5000 FROM all_spans");
    ASSERT_TRUE(rows.ok()) << rows.status();
    if (PQntuples(rows->get()) == 0) break;
    for (int row = 0; row < PQntuples(rows->get()); ++row) {
      const std::string uuid(pg::Cell(rows->get(), row, 0));
      const TraceId id = TraceId::Parse(uuid).value_or(TraceId());
      const auto found = expected.find(id.low());
      ASSERT_TRUE(id.high() == 0 && found != expected.end()) << uuid;
      ExpectRow(found->second, rows->get(), row);
      ASSERT_FALSE(testing::Test::HasFailure()) << "span " << uuid << ", seed " << seed;
      expected.erase(found);
      ++seen;
    }
  }
  database.Run("COMMIT");
  EXPECT_EQ(seen, count);
  EXPECT_TRUE(expected.empty());
}

}  // namespace
}  // namespace spanring::test
