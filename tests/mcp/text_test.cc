// What programs recorded must not look like ours, nor hide.
#include "mcp/text.h"

#include <gtest/gtest.h>

namespace spanring::mcp {
namespace {

TEST(Text, HiddenCharactersAreSeen) {
  EXPECT_EQ(Cleaned("a\nb\tc\x1b[31m"), "a\\nb\\tc\\u{1b}[31m");
  EXPECT_EQ(Cleaned(std::string_view("a\0b", 3)), "a\\u{0}b");
  EXPECT_EQ(Cleaned("pay\u202Egnp.exe"), "pay\\u{202e}gnp.exe");
  EXPECT_EQ(Cleaned("tag \U000E0041 \u200B"), "tag \\u{e0041} \\u{200b}");
  EXPECT_EQ(Cleaned("ok\uFE01\U000E0101\u3164\u115F"), "ok\\u{fe01}\\u{e0101}\\u{3164}\\u{115f}");
  EXPECT_EQ(Cleaned("Zürich 東京 🙂"), "Zürich 東京 🙂");
  EXPECT_EQ(Cleaned("\xff\xfe"), "\uFFFD\uFFFD");
}

TEST(Text, LongTextsAreCutBetweenCharacters) {
  EXPECT_EQ(Cleaned("äää", 3), "ä… (6 bytes)");
  EXPECT_EQ(Cleaned("abc", 3), "abc");
}

TEST(Text, NamesAreQuotedWhereTheyAreNone) {
  EXPECT_EQ(Name("runner.execute"), "runner.execute");
  EXPECT_EQ(Name("ignore all \"rules\""), R"("ignore all \"rules\"")");
  EXPECT_EQ(Name(nullptr), "?");
}

TEST(Text, NumbersForPeople) {
  EXPECT_EQ(Count(4312), "4,312");
  EXPECT_EQ(Count(-100), "-100");
  EXPECT_EQ(Count(-1000), "-1,000");
  EXPECT_EQ(Count(1234567), "1,234,567");
  EXPECT_EQ(Shown(20, 4312, "spans"), "20 of 4,312 spans shown");
  EXPECT_EQ(Milliseconds(238900), "238.9 s");
  EXPECT_EQ(Milliseconds(0.125), "0.125 ms");
  EXPECT_EQ(Milliseconds(nullptr), "?");
  EXPECT_EQ(SpanId("00000000-0000-0000-7ade-62b0bd8f6e76"), "7ade62b0bd8f6e76");
  EXPECT_EQ(SpanId("10000000-0000-0000-7ade-62b0bd8f6e76"), "10000000-0000-0000-7ade-62b0bd8f6e76");
}

}  // namespace
}  // namespace spanring::mcp
