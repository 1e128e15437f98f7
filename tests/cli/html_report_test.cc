// The page of `spanring export --format html`: whatever the rows say, it stays a page.
#include "cli/render/html_report.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace spanring::cli {
namespace {

std::size_t Count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

HtmlSpan Span(std::int64_t row, std::int64_t offset_ns, std::optional<std::int64_t> duration_ns) {
  HtmlSpan span = {.service = std::string(1, 's'),
                   .operation = std::string(1, 'o'),
                   .status = "completed",
                   .row = row,
                   .last_row = row,
                   .depth = 0,
                   .offset_ns = offset_ns,
                   .duration_ns = duration_ns,
                   .is_suspect = false,
                   .facts = {},
                   .metadata = {}};
  return span;
}

TEST(HtmlReport, NothingInTheRowsBecomesMarkup) {
  const std::string hostile = "<img src=x onerror='alert(1)'>\"&\x1b[31m\xe2\x80\xae";
  HtmlSpan span = Span(1, 0, 5);
  span.service = span.operation = span.status = span.metadata = hostile;
  span.facts = {{hostile, hostile}};
  HtmlReport report;
  report.title = report.status = report.program = hostile;
  report.facts = {{hostile, hostile}};
  report.is_diagnosed = true;
  report.causes = {{hostile, hostile, hostile, hostile, hostile}, {"b", "", "", "", ""}};
  report.anomalies = {{hostile, hostile, hostile, hostile, hostile}};
  report.spans = {span};
  report.gaps = {{.label = hostile, .parent_row = 1, .offset_ns = 1, .duration_ns = 2}};
  const std::string page = DrawHtml(report);
  EXPECT_EQ(Count(page, "<img"), 0U);
  EXPECT_EQ(Count(page, "'alert"), 0U);
  EXPECT_EQ(page.find('\x1b'), std::string::npos);
  EXPECT_EQ(Count(page, "\xe2\x80\xae"), 0U) << "a change of direction";
  EXPECT_GE(Count(page, "&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&quot;&amp;\\x1b[31m\\u202e"),
            18U);
}

TEST(HtmlReport, AnEmptyAndAnAbsurdReportArePages) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  EXPECT_NE(DrawHtml({}).find("0 spans"), std::string::npos);
  HtmlReport report;
  report.spans = {Span(1, 0, kMost), Span(2, kLeast, kMost), Span(3, kMost, kMost),
                  Span(4, 0, std::nullopt), Span(5, 7, 0)};
  report.spans[4].depth = kMost;
  report.gaps = {{.label = "", .parent_row = 9, .offset_ns = kLeast, .duration_ns = kMost},
                 {.label = "", .parent_row = 5, .offset_ns = kLeast, .duration_ns = kMost}};
  const std::string page = DrawHtml(report);
  EXPECT_EQ(Count(page, "<details class=\"row"), 5U);
  EXPECT_EQ(Count(page, "<div class=\"gap\">"), 1U) << "of a parent that is there";
  EXPECT_EQ(Count(page, "nan"), 0U);
  EXPECT_NE(page.find("</html>"), std::string::npos);
}

TEST(HtmlReport, AGapStandsBehindWhatLiesBelowItsParent) {
  HtmlReport report;
  report.spans = {Span(1, 0, 100), Span(2, 0, 10), Span(3, 50, 50)};
  report.spans[0].last_row = 2;
  report.spans[1].operation = "below";
  report.spans[2].operation = "beside";
  report.gaps = {{.label = "a → b", .parent_row = 1, .offset_ns = 10, .duration_ns = 90}};
  const std::string page = DrawHtml(report);
  EXPECT_LT(page.find(">s.below<"), page.find(">gap a → b<"));
  EXPECT_LT(page.find(">gap a → b<"), page.find(">s.beside<"));
  EXPECT_NE(page.find("left:min(10.0000%,100% - 2px);width:90.0000%"), std::string::npos);
}

TEST(HtmlReport, ACellNamesItsColumnForWindowsWithoutRoomForColumns) {
  HtmlReport report;
  report.is_diagnosed = true;
  report.anomalies = {{"o", "9.0 s", "1.0 s", "failed", "slow"}};
  const std::string page = DrawHtml(report);
  for (const char* cell : {"data-is=\"duration\">9.0 s", "data-is=\"baseline\">1.0 s",
                           "data-is=\"status\">", "data-is=\"why\">slow"}) {
    EXPECT_EQ(Count(page, cell), 1U) << cell;
  }
}

}  // namespace
}  // namespace spanring::cli
