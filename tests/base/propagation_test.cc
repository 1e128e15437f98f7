#include "spanring/propagation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spanring {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

using namespace std::string_view_literals;

constexpr std::string_view kTraceparent = "00-0192f0c17d3e7a2b8c4d5e6f708192a3-00f067aa0ba902b7-01";
constexpr TraceId kTrace(0x0192f0c17d3e7a2b, 0x8c4d5e6f708192a3);
constexpr SpanContext kSpan{kTrace, SpanId(1), true};
constexpr std::string_view kSpansTraceparent =
    "00-0192f0c17d3e7a2b8c4d5e6f708192a3-0000000000000001-01";
constexpr SpanContext kSpanOfAnotherTrace{TraceId(1, 1), SpanId(1), true};

using Headers = std::map<std::string, std::string, std::less<>>;

RemoteParent From(const Headers& headers) {
  return RemoteParent::FromHeaders([&](std::string_view name) -> std::optional<std::string_view> {
    const auto found = headers.find(name);
    if (found == headers.end()) return std::nullopt;
    return found->second;
  });
}
RemoteParent From(std::string_view tracestate, std::string_view baggage) {
  return From({{"traceparent", std::string(kTraceparent)},
               {"tracestate", std::string(tracestate)},
               {"baggage", std::string(baggage)}});
}
std::string Tracestate(std::string_view header) { return From(header, "").tracestate(); }
std::string Baggage(std::string_view header) { return From("", header).baggage(); }

Headers Written(const RemoteParent& parent, const SpanContext& span) {
  Headers headers;
  parent.ToHeaders(
      [&](std::string_view name, std::string_view value) { headers.emplace(name, value); }, span);
  return headers;
}

std::string Members(int count) {
  std::string list;
  for (int i = 0; i < count; ++i) list += (i == 0 ? "k" : ",k") + std::to_string(i) + "=v";
  return list;
}

TEST(Propagation, HeadersGoOnWithTheSpanInThem) {
  const RemoteParent parent = From("rojo=1,congo=2", "userId=alice;p=1");
  EXPECT_EQ(parent.context(), SpanContext::FromTraceparent(kTraceparent));
  EXPECT_THAT(Written(parent, kSpan), ElementsAre(Pair("baggage", "userId=alice;p=1"),
                                                  Pair("traceparent", kSpansTraceparent),
                                                  Pair("tracestate", "rojo=1,congo=2")));
}

TEST(Propagation, WithoutASpanWhatCameGoesOn) {
  EXPECT_THAT(Written(From("rojo=1", "k=v"), SpanContext()),
              ElementsAre(Pair("baggage", "k=v"), Pair("traceparent", kTraceparent),
                          Pair("tracestate", "rojo=1")));
}

TEST(Propagation, WithoutACallerTheSpanGoesOutAlone) {
  EXPECT_THAT(Written(RemoteParent(), kSpan), ElementsAre(Pair("traceparent", kSpansTraceparent)));
  EXPECT_THAT(Written(RemoteParent(), SpanContext()), IsEmpty());
}

TEST(Propagation, ASpanOfAnotherTraceTakesNoTracestateAlong) {
  EXPECT_THAT(Written(From("rojo=1", "k=v"), kSpanOfAnotherTrace),
              ElementsAre(Pair("baggage", "k=v"),
                          Pair("traceparent", kSpanOfAnotherTrace.ToTraceparent())));
}

TEST(Propagation, AMalformedTraceparentDiscardsTheTracestateAndKeepsTheBaggage) {
  for (const std::string traceparent :
       {"", "00-0-0-0", "ff-0192f0c17d3e7a2b8c4d5e6f708192a3-1-01"}) {
    const RemoteParent parent =
        From({{"traceparent", traceparent}, {"tracestate", "rojo=1"}, {"baggage", "k=v"}});
    EXPECT_FALSE(parent.context().is_valid());
    EXPECT_EQ(parent.tracestate(), "");
    EXPECT_THAT(Written(parent, SpanContext()), ElementsAre(Pair("baggage", "k=v")));
  }
}

TEST(Propagation, AMalformedTracestateLeavesTheTraceparent) {
  const RemoteParent parent = From("rojo", "");
  EXPECT_TRUE(parent.context().is_valid());
  EXPECT_EQ(parent.tracestate(), "");
}

TEST(Propagation, AnyKindOfLookupWillDo) {
  const std::string traceparent(kTraceparent);
  const auto read = [](const auto& lookup) { return RemoteParent::FromHeaders(lookup).context(); };
  const SpanContext expected = *SpanContext::FromTraceparent(kTraceparent);
  const auto is_it = [](std::string_view name) { return name == "traceparent"; };
  EXPECT_EQ(read([&](std::string_view name) { return is_it(name) ? traceparent : ""; }), expected);
  EXPECT_EQ(read([&](std::string_view name) {
              return is_it(name) ? std::optional(traceparent) : std::nullopt;
            }),
            expected);
  EXPECT_EQ(read([&](std::string_view name) {
              return is_it(name) ? traceparent.c_str() : static_cast<const char*>(nullptr);
            }),
            expected);
  EXPECT_EQ(read([&](std::string_view name) { return is_it(name) ? kTraceparent : ""sv; }),
            expected);
}

TEST(Propagation, TracestateIsKeptButForTheSpacesAround) {
  for (const std::string_view list :
       {"rojo=00f067aa0ba902b7"sv, "rojo=1,congo=2"sv, "0a_-*/@z= !\"#$%&'()*+-./:;<>?@[]^_`{|}~"sv,
        "fw529a3039@dt=FfffffffF;a:b"sv, "a=1,a=2"sv}) {
    EXPECT_EQ(Tracestate(list), list);
  }
  EXPECT_EQ(Tracestate(" \ta=1\t , ,,b= 2 ,"), "a=1,b= 2");
  EXPECT_EQ(Tracestate(" , \t,"), "");
}

TEST(Propagation, ATracestateThatIsNotOfTheGrammarIsDiscarded) {
  for (const std::string_view list :
       {"a"sv, "a="sv, "=1"sv, "A=1"sv, "_a=1"sv, "a =1"sv, "a.b=1"sv, "a=1=2"sv, "a=1;b=2\n"sv,
        "a=1,b"sv, "a=\t1"sv, "a=1\r\nx: y"sv, "a=\0"sv, "a=\x7f"sv, "a=\xc3\xa9"sv}) {
    EXPECT_EQ(Tracestate(list), "") << list;
  }
}

TEST(Propagation, TracestateHasThirtyTwoMembersOf256CharactersASide) {
  EXPECT_EQ(Tracestate(Members(32)), Members(32));
  EXPECT_EQ(Tracestate(Members(32) + ",,"), Members(32));
  EXPECT_EQ(Tracestate(Members(33)), "");
  const std::string longest = std::string(256, 'k') + '=' + std::string(256, 'v');
  EXPECT_EQ(Tracestate(longest), longest);
  EXPECT_EQ(Tracestate('k' + longest), "");
  EXPECT_EQ(Tracestate(longest + 'v'), "");
  std::string list = longest;
  for (int i = 1; i < 32; ++i) list += ',' + longest;
  EXPECT_EQ(Tracestate(list).size(), RemoteParent::kTracestateBytes);
}

TEST(Propagation, BaggageGoesOnUnread) {
  for (const std::string_view list :
       {"userId=alice,server=DF%2028;p=1;q"sv, "k = v"sv, "no baggage"sv, "=;,,"sv}) {
    EXPECT_EQ(Baggage(list), list);
  }
  EXPECT_EQ(Baggage(" k=v\t,\tw=x "), "k=v , w=x");
}

TEST(Propagation, BaggageThatCouldBreakAHeaderIsDiscarded) {
  for (const std::string_view list :
       {"k=v\r\nx: y"sv, "k=v\n"sv, "k=\0v"sv, "k=\x1b"sv, "k=\x7f"sv, "k=\xc3\xa9"sv}) {
    EXPECT_EQ(Baggage(list), "") << list;
  }
}

TEST(Propagation, OfLongBaggageTheFirstMembersGoOn) {
  const std::string whole = "k=" + std::string(RemoteParent::kBaggageBytes - 2, 'v');
  EXPECT_EQ(Baggage(whole), whole);
  EXPECT_EQ(Baggage(whole + ",w=x"), whole);
  EXPECT_EQ(Baggage(whole + 'v'), "");
  EXPECT_EQ(Baggage("a=1 , " + whole), "a=1");
}

class EnvironmentPropagation : public testing::Test {
 protected:
  void SetUp() override { Clear(); }
  void TearDown() override { Clear(); }
  static void Clear() {
    for (const char* name : {"TRACEPARENT", "TRACESTATE", "BAGGAGE"}) unsetenv(name);
  }
  static void Set(const char* name, std::string_view value) {
    setenv(name, std::string(value).c_str(), 1);
  }
};

TEST_F(EnvironmentPropagation, IsReadAsHeadersAre) {
  EXPECT_FALSE(RemoteParent::FromEnvironment().context().is_valid());
  Set("TRACEPARENT", kTraceparent);
  Set("TRACESTATE", "rojo=1");
  Set("BAGGAGE", "k=v\nx");
  const RemoteParent parent = RemoteParent::FromEnvironment();
  EXPECT_EQ(parent.context(), SpanContext::FromTraceparent(kTraceparent));
  EXPECT_EQ(parent.tracestate(), "rojo=1");
  EXPECT_EQ(parent.baggage(), "");
}

TEST_F(EnvironmentPropagation, AChildGetsWhatItsParentHasAndTheSpan) {
  Set("TRACEPARENT", "of another trace");
  Set("TRACESTATE", "of=another");
  Set("BAGGAGE", "k=v");
  Set("SPANRING_PROPAGATION_TEST", "stays");
  const std::vector<std::string> child = RemoteParent().ToEnvironment(kSpan);
  EXPECT_THAT(child, Contains("SPANRING_PROPAGATION_TEST=stays"));
  EXPECT_THAT(child, Contains(StartsWith("TRACEPARENT=")).Times(1));
  EXPECT_THAT(child, Contains("TRACEPARENT=" + std::string(kSpansTraceparent)));
  EXPECT_THAT(child, Not(Contains(StartsWith("TRACESTATE="))));
  EXPECT_THAT(child, Contains("BAGGAGE=k=v"));
  unsetenv("SPANRING_PROPAGATION_TEST");
}

TEST_F(EnvironmentPropagation, WhatCameWithTheTraceReplacesWhatWasInherited) {
  Set("TRACESTATE", "of=another");
  Set("BAGGAGE", "of=another");
  const std::vector<std::string> child = From("rojo=1", "k=v").ToEnvironment(kSpan);
  EXPECT_THAT(child, Contains(StartsWith("TRACESTATE=")).Times(1));
  EXPECT_THAT(child, Contains("TRACESTATE=rojo=1"));
  EXPECT_THAT(child, Contains(StartsWith("BAGGAGE=")).Times(1));
  EXPECT_THAT(child, Contains("BAGGAGE=k=v"));
}

TEST_F(EnvironmentPropagation, WithoutAnythingToSayAllIsInherited) {
  Set("TRACEPARENT", kTraceparent);
  Set("TRACESTATE", "rojo=1");
  const std::vector<std::string> child = RemoteParent().ToEnvironment(SpanContext());
  EXPECT_THAT(child, Contains("TRACEPARENT=" + std::string(kTraceparent)));
  EXPECT_THAT(child, Contains("TRACESTATE=rojo=1"));
}

}  // namespace
}  // namespace spanring
