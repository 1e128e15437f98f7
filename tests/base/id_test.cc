#include "spanring/id.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace spanring {
namespace {

using namespace std::string_view_literals;

constexpr TraceId kTrace(0x0192f0c17d3e7a2b, 0x8c4d5e6f708192a3);
constexpr std::string_view kTraceparent = "00-0192f0c17d3e7a2b8c4d5e6f708192a3-00f067aa0ba902b7-01";

TEST(TraceId, PrintsUuidAndHex) {
  EXPECT_EQ(kTrace.ToUuid(), "0192f0c1-7d3e-7a2b-8c4d-5e6f708192a3");
  EXPECT_EQ(kTrace.ToHex(), "0192f0c17d3e7a2b8c4d5e6f708192a3");
  EXPECT_EQ(TraceId().ToUuid(), "00000000-0000-0000-0000-000000000000");
}

TEST(TraceId, ParsesWithAndWithoutHyphensInAnyCase) {
  EXPECT_EQ(TraceId::Parse("0192f0c1-7d3e-7a2b-8c4d-5e6f708192a3"), kTrace);
  EXPECT_EQ(TraceId::Parse("0192F0C1-7D3E-7A2B-8C4D-5E6F708192A3"), kTrace);
  EXPECT_EQ(TraceId::Parse("0192f0c17d3e7a2b8c4d5e6f708192a3"), kTrace);
  EXPECT_EQ(TraceId::Parse("0192f0c17d3e7A2B8c4d5e6f708192A3"), kTrace);
}

TEST(TraceId, ParsesTheNilIdWhichNamesNoTrace) {
  const auto nil = TraceId::Parse("00000000-0000-0000-0000-000000000000");
  ASSERT_TRUE(nil.has_value());
  EXPECT_TRUE(nil->is_nil());
  EXPECT_FALSE(kTrace.is_nil());
  EXPECT_FALSE(TraceId(0, 1).is_nil());
  EXPECT_FALSE(TraceId(1, 0).is_nil());
}

TEST(TraceId, RefusesWhatIsNotAUuid) {
  for (const std::string_view text : {
           ""sv,
           "0192f0c1-7d3e-7a2b-8c4d-5e6f708192a"sv,    // A digit short.
           "0192f0c1-7d3e-7a2b-8c4d-5e6f708192a33"sv,  // A digit too many.
           "0192f0c17d3e7a2b8c4d5e6f708192a"sv,        // The same without hyphens.
           "0192f0c17d3e7a2b8c4d5e6f708192a3f"sv,      //
           "0192f0c1-7d3e-7a2b-8c4d-5e6f708192ag"sv,   // Not a hex digit.
           "0192f0c1 7d3e 7a2b 8c4d 5e6f708192a3"sv,   // Not hyphens.
           "0192f0c17-d3e-7a2b-8c4d-5e6f708192a3"sv,   // A hyphen in the wrong place.
           "{192f0c1-7d3e-7a2b-8c4d-5e6f708192a}"sv,   // Braces.
           " 192f0c1-7d3e-7a2b-8c4d-5e6f708192a3"sv,   // A space.
           "0x92f0c1-7d3e-7a2b-8c4d-5e6f708192a3"sv,   // A prefix.
           "0192f0c1-7d3e-7a2b-8c4d-5e6f708192a\0"sv,  // NUL.
           "------------------------------------"sv,   // Hyphens only.
       }) {
    EXPECT_EQ(TraceId::Parse(text), std::nullopt) << text;
  }
}

TEST(TraceId, RoundTripsRandomIds) {
  std::mt19937_64 random(42);
  for (int i = 0; i < 1000; ++i) {
    const TraceId id(random(), random() >> (i % 64));
    EXPECT_EQ(TraceId::Parse(id.ToUuid()), id);
    EXPECT_EQ(TraceId::Parse(id.ToHex()), id);
  }
}

TEST(SpanId, ParsesAndPrintsSixteenHexDigits) {
  constexpr SpanId kSpan(0x00f067aa0ba902b7);
  EXPECT_EQ(kSpan.ToHex(), "00f067aa0ba902b7");
  EXPECT_EQ(SpanId::Parse("00f067aa0ba902b7"), kSpan);
  EXPECT_EQ(SpanId::Parse("00F067AA0BA902B7"), kSpan);
  EXPECT_EQ(SpanId::Parse("ffffffffffffffff"), SpanId(~std::uint64_t{0}));
  EXPECT_TRUE(SpanId::Parse("0000000000000000")->is_nil());
  for (const auto text : {""sv, "00f067aa0ba902b"sv, "00f067aa0ba902b70"sv, "00f067aa0ba902bg"sv,
                          "-0f067aa0ba902b7"sv, " 0f067aa0ba902b7"sv}) {
    EXPECT_EQ(SpanId::Parse(text), std::nullopt) << text;
  }
}

TEST(Traceparent, RoundTrips) {
  const auto context = SpanContext::FromTraceparent(kTraceparent);
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(context->trace_id, kTrace);
  EXPECT_EQ(context->span_id, SpanId(0x00f067aa0ba902b7));
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(context->ToTraceparent(), kTraceparent);
}

TEST(Traceparent, ReadsTheSampledBitAlone) {
  const auto with_flags = [](std::string_view flags) {
    std::string header(kTraceparent.substr(0, 53));
    header += flags;
    return SpanContext::FromTraceparent(header);
  };
  EXPECT_FALSE(with_flags("00")->sampled);
  EXPECT_FALSE(with_flags("02")->sampled);
  EXPECT_TRUE(with_flags("03")->sampled);
  EXPECT_TRUE(with_flags("ff")->sampled);
  EXPECT_EQ(with_flags("00")->ToTraceparent().substr(53), "00");
  EXPECT_EQ(with_flags("FF"), std::nullopt);
  EXPECT_EQ(with_flags("0x"), std::nullopt);
}

TEST(Traceparent, TakesKnownFieldsOfLaterVersions) {
  std::string later(kTraceparent);
  later.replace(0, 2, "01");
  EXPECT_TRUE(SpanContext::FromTraceparent(later).has_value());
  EXPECT_TRUE(SpanContext::FromTraceparent(later + "-what-comes-later").has_value());
  EXPECT_EQ(SpanContext::FromTraceparent(later + "x"), std::nullopt);
  later.replace(0, 2, "fe");
  EXPECT_TRUE(SpanContext::FromTraceparent(later).has_value());
}

TEST(Traceparent, RefusesMalformedHeaders) {
  const auto with = [](std::size_t at, std::string_view text) {
    return std::string(kTraceparent).replace(at, text.size(), text);
  };
  const std::string good(kTraceparent);
  for (const std::string& header : {
           std::string(),
           std::string("00"),
           good.substr(0, 54),  // Too short.
           good + "0",          // Version 00 is of one length.
           good + "-00",        //
           with(0, "ff"),       // The version that is none.
           with(0, "0G"),       // Not hex.
           with(0, "0A"),       // Upper case.
           with(3, "F"),        //
           with(36, "F"),       //
           with(2, "_"),
           with(35, "_"),
           with(52, "_"),                                // Other separators.
           with(3, "00000000000000000000000000000000"),  // The nil trace id.
           with(36, "0000000000000000"),                 // The nil span id.
           with(3, "zz"),
           with(36, "zz"),
           " " + good,
           with(10, std::string_view("\0", 1)),
       }) {
    EXPECT_EQ(SpanContext::FromTraceparent(header), std::nullopt) << header;
  }
}

TEST(Traceparent, IsEmptyForAContextThatIsNotValid) {
  EXPECT_EQ(SpanContext().ToTraceparent(), "");
  EXPECT_EQ((SpanContext{kTrace, SpanId(), true}).ToTraceparent(), "");
  EXPECT_EQ((SpanContext{TraceId(), SpanId(1), true}).ToTraceparent(), "");
}

}  // namespace
}  // namespace spanring
