#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "cli/render/bars.h"
#include "cli/render/style.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/units.h"
#include "cli/render/waterfall.h"
#include "cli/sample_runner.h"

namespace spanring::cli {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;

TEST(Text, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Escape("plain ünï 日本"), "plain ünï 日本");
  EXPECT_EQ(Escape("\033[31mred\033]0;title\007"), "\\x1b[31mred\\x1b]0;title\\x07");
  EXPECT_EQ(Escape("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(Escape("\x7f"), "\\x7f");
  EXPECT_EQ(Escape("\xc2\x9b"
                   "31m"),
            "\\u009b31m")
      << "C1 CSI";
  EXPECT_EQ(Escape("\xe2\x80\xae"
                   "txt"),
            "\\u202etxt")
      << "right-to-left override";
  EXPECT_EQ(Escape(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(Text, EscapesInvalidUtf8ByteByByte) {
  EXPECT_EQ(Escape("\xff"), "\\xff");
  EXPECT_EQ(Escape("\xc0\x80"), "\\xc0\\x80") << "overlong";
  EXPECT_EQ(Escape("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
  EXPECT_EQ(Escape("\xe2\x82"), "\\xe2\\x82") << "cut";
  EXPECT_EQ(Escape("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80") << "above U+10FFFF";
}

TEST(Text, EscapesJsonWithoutChangingIt) {
  EXPECT_EQ(EscapeJson("{\"a\":\"\\u001b \xc2\x9b \x7f\"}"), "{\"a\":\"\\u001b \\u009b \\u007f\"}");
  EXPECT_EQ(EscapeJson("\"\xf3\xa0\x80\x81\""), "\"\\udb40\\udc01\"") << "as a surrogate pair";
  EXPECT_EQ(EscapeJson("\"ü日\""), "\"ü日\"");
}

TEST(Text, MeasuresColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3U);
  EXPECT_EQ(DisplayWidth("日本"), 4U);
  EXPECT_EQ(DisplayWidth("e\xcc\x81"), 1U) << "combining acute";
  EXPECT_EQ(DisplayWidth("░▏█│"), 4U);
}

TEST(Text, CutsAndPads) {
  EXPECT_EQ(Truncate("abcdef", 6), "abcdef");
  EXPECT_EQ(Truncate("abcdef", 4), "abc…");
  EXPECT_EQ(Truncate("日本語", 4), "日…") << "a wide character is not halved";
  EXPECT_EQ(Truncate("abc", 0), "");
  EXPECT_EQ(PadRight("日", 4), "日  ");
  EXPECT_EQ(PadLeft("12", 4), "  12");
  EXPECT_EQ(DisplayWidth(PadRight("日本語", 4)), 4U);
}

TEST(Text, WrapsBetweenWordsAndCutsLongOnes) {
  EXPECT_EQ(Wrap("the quick brown fox", 9), (std::vector<std::string>{"the quick", "brown fox"}));
  EXPECT_EQ(Wrap("", 9), std::vector<std::string>{""});
  for (const std::string& line : Wrap(std::string(50, 'x') + " y 日本語日本語", 7)) {
    EXPECT_LE(DisplayWidth(line), 7U);
  }
}

TEST(Units, DurationsReadWell) {
  EXPECT_EQ(FormatDuration(0), "0 ns");
  EXPECT_EQ(FormatDuration(850), "850 ns");
  EXPECT_EQ(FormatDuration(12'340), "12.3 µs");
  EXPECT_EQ(FormatDuration(999'960), "1.0 ms") << "never 1000.0 of the smaller unit";
  EXPECT_EQ(FormatDuration(238'900 * kMs), "238.9 s");
  EXPECT_EQ(FormatDuration(723 * kSecond), "12 min 03 s");
  EXPECT_EQ(FormatDuration(18'720 * kSecond), "5 h 12 min");
  EXPECT_EQ(FormatDuration(100 * 3600 * kSecond), "4 d 04 h");
  EXPECT_EQ(FormatDuration(-1500 * kMs), "-1.5 s");
  EXPECT_FALSE(FormatDuration(std::numeric_limits<std::int64_t>::min()).empty());
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatCount(-999), "-999");
}

std::string Whole(const Bar& bar) {
  return std::string(bar.before, '.') + bar.drawn + std::string(bar.after, '.');
}

TEST(Bars, FillTheAxisAndItsEdges) {
  const Axis axis{.start_ns = 0, .end_ns = 80, .columns = 10};
  EXPECT_EQ(Whole(DrawBar(axis, 0, 80, BarKind::kSpan)), "██████████");
  EXPECT_EQ(Whole(DrawBar(axis, 0, 12, BarKind::kSpan)), "█▌........");
  EXPECT_EQ(Whole(DrawBar(axis, 4, 16, BarKind::kSpan)), "▐█........");
  EXPECT_EQ(Whole(DrawBar(axis, 40, 56, BarKind::kGap)), ".....░░...");
  EXPECT_EQ(Whole(DrawBar(axis, 60, 80, BarKind::kOpen)), ".......╌╌╌");
}

TEST(Bars, AZeroLengthSpanIsStillSeen) {
  const Axis axis{.start_ns = 0, .end_ns = 80, .columns = 10};
  EXPECT_EQ(Whole(DrawBar(axis, 0, 0, BarKind::kSpan)), "▏.........");
  EXPECT_EQ(Whole(DrawBar(axis, 80, 80, BarKind::kSpan)), ".........▕");
  EXPECT_EQ(Whole(DrawBar({.start_ns = 0, .end_ns = 0, .columns = 3}, 0, 0, BarKind::kSpan)),
            "▏..");
}

TEST(Bars, WhatLiesOutsideIsCut) {
  const Axis axis{.start_ns = 0, .end_ns = 80, .columns = 10};
  EXPECT_EQ(Whole(DrawBar(axis, -50, 8, BarKind::kSpan)), "█.........");
  EXPECT_EQ(DisplayWidth(Whole(DrawBar(axis, 72, 500, BarKind::kSpan))), 10U);
  EXPECT_EQ(DisplayWidth(Whole(DrawBar(axis, 50, 20, BarKind::kSpan))), 10U) << "ends before";
  EXPECT_EQ(DrawBar({.start_ns = 0, .end_ns = 80, .columns = 0}, 0, 80, BarKind::kSpan).drawn, "");
}

TEST(Bars, TheScaleIsAsWideAsTheAxis) {
  for (const std::int64_t end : {std::int64_t{0}, std::int64_t{7}, kMs, 239 * kSecond,
                                 std::numeric_limits<std::int64_t>::max()}) {
    for (const std::size_t columns : {0U, 1U, 5U, 40U, 200U}) {
      const std::string scale = DrawScale({.start_ns = 0, .end_ns = end, .columns = columns});
      EXPECT_EQ(DisplayWidth(scale), columns) << end << " " << scale;
    }
  }
  EXPECT_EQ(DrawScale({.start_ns = 0, .end_ns = 240 * kSecond, .columns = 48}),
            "│0                  │100 s              │200 s  ");
}

TEST(Style, PaintsOnlyWhenAsked) {
  EXPECT_EQ(Style(false).Paint("x", Tone::kBad), "x");
  EXPECT_EQ(Style(false).PaintService("x", 3), "x");
  EXPECT_NE(Style(true).PaintService("x", 0), Style(true).PaintService("x", 1));
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(Style::FromMode("auto", 1).colored());
  EXPECT_TRUE(Style::FromMode("always", 1).colored()) << "what is asked for comes first";
  unsetenv("NO_COLOR");
}

TEST(Table, CutsTheFlexibleColumns) {
  const std::vector<std::string> lines =
      DrawTable({{.title = "a", .right_aligned = true, .flexible = false},
                 {.title = "b", .right_aligned = false, .flexible = true}},
                {{.cells = {"12", std::string(100, 'x')}, .tone = Tone::kPlain, .note = "why\033"}},
                40, Style(false));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], " a  b");
  EXPECT_EQ(DisplayWidth(lines[1]), 40U);
  EXPECT_EQ(lines[2], "    why\\x1b");
}

WaterfallSpan Span(const std::string& id, const std::string& parent, std::int64_t depth,
                   const std::string& service, std::int64_t offset_ms, std::int64_t duration_ms) {
  WaterfallSpan span;
  span.span_id = id;
  span.parent_span_id = parent;
  span.depth = depth;
  span.service = service;
  span.operation = "op_" + id;
  span.status = "completed";
  span.offset_ns = offset_ms * kMs;
  span.duration_ns = duration_ms * kMs;
  return span;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string joined;
  for (const std::string& line : lines) joined += line + "\n";
  return joined;
}

// Execution 2193: the router was done after 82 s, the runner saw the answer 156 s later.
TEST(Waterfall, DrawsTheGapInTheCaseThatMatters) {
  std::vector<WaterfallSpan> spans = {
      Span("a", "", 0, "runner", 0, 238900), Span("b", "a", 1, "runner", 0, 238900),
      Span("c", "b", 2, "router", 0, 82500), Span("d", "c", 3, "modal", 100, 77300)};
  spans[1].status = "timeout";
  spans[1].error_type = "deadline";
  spans[1].error_message = "no answer\nin time";
  const std::vector<WaterfallGap> gaps = {{.parent_span_id = "b",
                                           .label = "router → runner",
                                           .offset_ns = 82500 * kMs,
                                           .duration_ns = 156400 * kMs}};
  const std::vector<std::string> lines =
      DrawWaterfall(spans, gaps, {.width = 100, .style = Style(false)});
  ASSERT_EQ(lines.size(), 7U) << Joined(lines);
  EXPECT_EQ(lines[1].find("runner.op_a"), 0U);
  EXPECT_EQ(lines[2].find("└─runner.op_b"), 0U);
  EXPECT_EQ(lines[3], "  │ ✗ deadline: no answer\\nin time");
  EXPECT_EQ(lines[4].find("  ├─router.op_c"), 0U);
  EXPECT_EQ(lines[5].find("  │ └─modal.op_d"), 0U);
  EXPECT_EQ(lines[6].find("  └─░░ 156.4 s gap"), 0U);
  EXPECT_NE(lines[6].find("router → runner"), std::string::npos);
  EXPECT_NE(lines[1].find("238.9 s"), std::string::npos);
  EXPECT_EQ(Joined(lines).find('\033'), std::string::npos);
}

TEST(Waterfall, AGapStandsBetweenTheChildrenAroundIt) {
  const std::vector<WaterfallSpan> spans = {
      Span("a", "", 0, "s", 0, 30000), Span("b", "a", 1, "t", 0, 5000),
      Span("c", "b", 2, "t", 0, 4000), Span("d", "a", 1, "u", 20000, 5000)};
  const std::vector<WaterfallGap> gaps = {
      {.parent_span_id = "a",
       .label = "t → u",
       .offset_ns = 5000 * kMs,
       .duration_ns = 15000 * kMs},
      {.parent_span_id = "unknown", .label = "", .offset_ns = 0, .duration_ns = kSecond}};
  const std::vector<std::string> lines =
      DrawWaterfall(spans, gaps, {.width = 100, .style = Style(false)});
  ASSERT_EQ(lines.size(), 6U) << Joined(lines);
  EXPECT_EQ(lines[4].find("├─░░ 15.0 s gap"), 0U);
  EXPECT_EQ(lines[5].find("└─u.op_d"), 0U);
}

TEST(Waterfall, OpenAndSkewedSpansAreDrawn) {
  std::vector<WaterfallSpan> spans = {Span("a", "", 0, "s", 0, 1000),
                                      Span("b", "a", 1, "t", -500, 300),
                                      Span("c", "a", 1, "t", 500, 0)};
  spans[2].duration_ns.reset();
  spans[2].status = "started";
  spans[2].is_orphan = true;
  const std::vector<std::string> lines =
      DrawWaterfall(spans, {}, {.width = 100, .style = Style(false)});
  EXPECT_NE(lines[3].find("open"), std::string::npos);
  EXPECT_NE(lines[3].find("╌"), std::string::npos);
  EXPECT_NE(lines[3].find("(no parent)"), std::string::npos);
  EXPECT_NE(lines[0].find("│0"), std::string::npos) << "zero is the execution's start, not -500";
}

TEST(Waterfall, NothingIsNothing) {
  EXPECT_TRUE(DrawWaterfall({}, {}, {.width = 100, .style = Style(false)}).empty());
}

// Any rows at all give lines that fit and carry no control character.
TEST(Waterfall, SurvivesAnything) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const auto text = [&random] {
    std::string value(random() % 40, '\0');
    for (char& c : value) c = static_cast<char>(random());
    return value;
  };
  const auto number = [&random]() -> std::int64_t {
    switch (random() % 4) {
      case 0:
        return static_cast<std::int64_t>(random());
      case 1:
        return std::numeric_limits<std::int64_t>::max();
      case 2:
        return std::numeric_limits<std::int64_t>::min();
      default:
        return static_cast<std::int64_t>(random() % 1000) - 100;
    }
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<WaterfallSpan> spans(random() % 30);
    std::vector<WaterfallGap> gaps(random() % 5);
    for (WaterfallSpan& span : spans) {
      span = Span(std::to_string(random() % 10), std::to_string(random() % 10), number(), text(), 0,
                  0);
      span.offset_ns = number();
      span.duration_ns = number();
      if (random() % 3 == 0) span.duration_ns.reset();
      span.operation = text();
      span.status = random() % 2 ? "failed" : text();
      span.error_message = text();
      span.metadata = text();
    }
    for (WaterfallGap& gap : gaps) {
      gap = {.parent_span_id = std::to_string(random() % 10),
             .label = text(),
             .offset_ns = number(),
             .duration_ns = number()};
    }
    const std::size_t width = 40 + random() % 160;
    for (const std::string& line :
         DrawWaterfall(spans, gaps, {.width = width, .style = Style(false)})) {
      ASSERT_LE(DisplayWidth(line), width) << line;
      ASSERT_EQ(Escape(line), line);
    }
  }
}

TEST(SampleRunner, ReadsTheReportOnTheLastLine) {
  const absl::StatusOr<RunnerReport> report = ParseRunnerReport(
      "working\n{\"span_cost_off_ns\":0.5,\"span_cost_on_ns\":31,\"spans_started\":10,"
      "\"spans_persisted\":9,\"spans_dropped\":1,\"executions\":3,\"failed_executions\":[2193]}\n");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->spans_persisted, 9);
  EXPECT_EQ(report->failed_executions, std::vector<std::int64_t>{2193});
  EXPECT_FALSE(ParseRunnerReport("").ok());
  EXPECT_FALSE(ParseRunnerReport("{\"spans_started\":1}").ok());
  EXPECT_FALSE(ParseRunnerReport("[1]\n").ok());
}

TEST(SampleRunner, SaysWhatWentWrong) {
  const auto silent = [](std::chrono::milliseconds) {};
  EXPECT_FALSE(FindSampleRunner("/no/such/runner").ok());
  EXPECT_EQ(RunSampleRunner("/bin/false", "", std::chrono::seconds(10), silent).status().code(),
            absl::StatusCode::kInternal);
  EXPECT_EQ(
      RunSampleRunner("/usr/bin/yes", "", std::chrono::milliseconds(300), silent).status().code(),
      absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace spanring::cli
