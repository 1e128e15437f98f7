#include "base/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spanring::base {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

std::string Sanitize(std::string_view text) {
  std::vector<std::uint8_t> out(3 * text.size() + 1, 0xee);
  const std::uint8_t* end = CopySanitized(text, out.data());
  EXPECT_LE(static_cast<std::size_t>(end - out.data()), 3 * text.size());
  EXPECT_EQ(out.back(), 0xee) << "wrote behind three times the length";
  return {out.data(), out.data() + (end - out.data())};
}

// The obvious way: decode by the bit patterns, then ask whether the number is allowed and was
// written in its shortest form.
std::size_t ReferenceLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  if (text.empty()) return 0;
  std::size_t length = 0;
  std::uint32_t code = 0;
  if (byte(0) < 0x80) {
    length = 1;
    code = byte(0);
  } else if (byte(0) >> 5 == 0b110) {
    length = 2;
    code = byte(0) & 0x1f;
  } else if (byte(0) >> 4 == 0b1110) {
    length = 3;
    code = byte(0) & 0x0f;
  } else if (byte(0) >> 3 == 0b11110) {
    length = 4;
    code = byte(0) & 0x07;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (byte(i) >> 6 != 0b10) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t kLeast[] = {0, 1, 0x80, 0x800, 0x10000};
  if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return 0;
  return length;
}

std::string ReferenceSanitize(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = ReferenceLength(text);
    out += length == 0 ? kReplacement : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string Encode(std::uint32_t code) {
  const auto c = [](std::uint32_t value) { return static_cast<char>(value); };
  if (code < 0x80) return {c(code)};
  if (code < 0x800) return {c(0xc0 | code >> 6), c(0x80 | (code & 0x3f))};
  if (code < 0x10000) {
    return {c(0xe0 | code >> 12), c(0x80 | (code >> 6 & 0x3f)), c(0x80 | (code & 0x3f))};
  }
  return {c(0xf0 | code >> 18), c(0x80 | (code >> 12 & 0x3f)), c(0x80 | (code >> 6 & 0x3f)),
          c(0x80 | (code & 0x3f))};
}

TEST(Utf8, ValidTextIsKept) {
  for (const std::string_view text :
       {""sv, "plain"sv, "tabs\tand\nlines\x01\x7f"sv, "grün"sv, "日本語"sv, "\U0001F600"sv,
        "\xed\x9f\xbf"sv, "\xee\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv, "\xef\xbf\xbf"sv}) {
    EXPECT_EQ(Sanitize(text), text);
  }
}

TEST(Utf8, EveryKindOfMalformedByteIsReplacedByteForByte) {
  const auto replaced = [](int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += kReplacement;
    return out;
  };
  EXPECT_EQ(Sanitize("\0"sv), replaced(1));  // NUL.
  EXPECT_EQ(Sanitize("a\0b"sv),
            "a\xef\xbf\xbd"
            "b");                                                 // NUL in the middle.
  EXPECT_EQ(Sanitize("\x80"), replaced(1));                       // A continuation alone.
  EXPECT_EQ(Sanitize("\xbf\xbf"), replaced(2));                   // Two of them.
  EXPECT_EQ(Sanitize("\xc0\x80"), replaced(2));                   // NUL, overlong.
  EXPECT_EQ(Sanitize("\xc1\xbf"), replaced(2));                   // ASCII, overlong.
  EXPECT_EQ(Sanitize("\xe0\x9f\xbf"), replaced(3));               // U+07FF, overlong.
  EXPECT_EQ(Sanitize("\xf0\x8f\xbf\xbf"), replaced(4));           // U+FFFF, overlong.
  EXPECT_EQ(Sanitize("\xed\xa0\x80"), replaced(3));               // The first surrogate.
  EXPECT_EQ(Sanitize("\xed\xbf\xbf"), replaced(3));               // The last one.
  EXPECT_EQ(Sanitize("\xf4\x90\x80\x80"), replaced(4));           // U+110000.
  EXPECT_EQ(Sanitize("\xf5\x80\x80\x80"), replaced(4));           // Beyond all planes.
  EXPECT_EQ(Sanitize("\xf8\x88\x80\x80\x80"), replaced(5));       // Five bytes, once allowed.
  EXPECT_EQ(Sanitize("\xfe"), replaced(1));                       // Never a byte of UTF-8.
  EXPECT_EQ(Sanitize("\xff"), replaced(1));                       // Nor this.
  EXPECT_EQ(Sanitize("\xc3"), replaced(1));                       // Cut after 1 of 2.
  EXPECT_EQ(Sanitize("\xe6\x97"), replaced(2));                   // Cut after 2 of 3.
  EXPECT_EQ(Sanitize("\xf0\x9f\x98"), replaced(3));               // Cut after 3 of 4.
  EXPECT_EQ(Sanitize("\xc3(x"), replaced(1) + "(x");              // Cut by ASCII.
  EXPECT_EQ(Sanitize("\xe6\xc3\xa9"), replaced(1) + "\xc3\xa9");  // Cut by a whole character.
}

TEST(Utf8, EveryCodePointIsJudgedAsTheReferenceDoes) {
  for (std::uint32_t code = 0; code <= 0x10ffff; ++code) {
    const std::string text = Encode(code);
    const bool valid = code != 0 && (code < 0xd800 || code > 0xdfff);
    ASSERT_EQ(CharacterLength(text), valid ? text.size() : 0) << std::hex << code;
  }
}

TEST(Utf8, RandomBytesAgreeWithTheReference) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  // Bytes at the borders of UTF-8's ranges, so that near misses are common.
  constexpr std::string_view kBorders =
      "\x00\x01\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4"
      "\xf5\xf7\xf8\xfe\xff"sv;
  for (int round = 0; round < 100'000; ++round) {
    std::string text(random() % 24, '\0');
    for (char& c : text) {
      c = random() % 2 == 0 ? kBorders[random() % kBorders.size()] : static_cast<char>(random());
    }
    ASSERT_EQ(Sanitize(text), ReferenceSanitize(text)) << testing::PrintToString(text);
    bool plain = true;
    for (const char c : text) plain = plain && c > 0;
    ASSERT_EQ(IsPlainAscii(text), plain) << testing::PrintToString(text);
  }
}

TEST(Utf8, PlainAsciiFindsTheOddByteAtEveryPlace) {
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string plain(size, 'a');
    EXPECT_TRUE(IsPlainAscii(plain));
    for (std::size_t at = 0; at < size; ++at) {
      for (const char odd : {'\0', '\x80', '\xff'}) {
        std::string text = plain;
        text[at] = odd;
        EXPECT_FALSE(IsPlainAscii(text)) << size << " " << at;
      }
      std::string text = plain;
      text[at] = '\x01';
      EXPECT_TRUE(IsPlainAscii(text));
    }
  }
}

TEST(Utf8, TruncateKeepsTheLongestWholeStart) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr std::string_view kCharacters[] = {"a", "é", "日", "\U0001F600"};
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::size_t> borders{0};
    std::string text;
    for (std::size_t n = random() % 12; n > 0; --n) {
      text += kCharacters[random() % 4];
      borders.push_back(text.size());
    }
    for (std::size_t limit = 0; limit <= text.size() + 1; ++limit) {
      std::size_t best = 0;
      for (const std::size_t border : borders) {
        if (border <= limit) best = border;
      }
      ASSERT_EQ(Truncate(text, limit), std::string_view(text).substr(0, best)) << limit;
    }
  }
}

TEST(Utf8, TruncateCutsTextThatIsNotUtf8WithinTheLimit) {
  const std::string continuations(300, '\x80');
  EXPECT_EQ(Truncate(continuations, 255).size(), 255U);
  EXPECT_LE(Truncate(continuations, 2).size(), 2U);
  EXPECT_EQ(Truncate(continuations, 0), "");
}

}  // namespace
}  // namespace spanring::base
