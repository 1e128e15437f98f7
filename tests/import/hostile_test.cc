// What is malformed, damaged, or made to hurt: refused with its place, the rest kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/json_walker.h"
#include "import/reading.h"

namespace spanring::importer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string Times(std::size_t n, std::string_view text) {
  std::string all;
  all.reserve(n * text.size());
  for (std::size_t i = 0; i < n; ++i) all += text;
  return all;
}

constexpr std::string_view kGood = R"({"traceId": "1", "id": "2", "timestamp": 3, "duration": 4})";
const std::string kGoodText(kGood);

TEST(Malformed, SpansAreRefusedWithTheirPlaceAndTheRestIsKept) {
  const Reading read(Format::kZipkin, absl::StrCat("[", kGoodText, ",\n", R"(  {"id": "2"},
  {"traceId": "1", "timestamp": 3},
  {"traceId": "0", "id": "2", "timestamp": 3},
  {"traceId": "1", "id": "2", "timestamp": "soon"},
  {"traceId": "1", "id": "2", "timestamp": 3, "duration": {}},
  {"traceId": "1", "id": "2", "timestamp": 9300000000000000},
  7,
  )",
                                                   kGoodText, "]"));
  EXPECT_EQ(read.spans.size(), 2U);
  EXPECT_THAT(
      read.refused,
      ElementsAre("2:3: no trace id", "3:3: no span id", "4:3: its trace id is 0",
                  "5:3: timestamp is no time: \"soon\"", "6:3: duration is no number: {}",
                  "7:3: timestamp lies outside of the years 1678 to 2261", "8:4: it is no object"));
  EXPECT_THAT(read.failed, IsEmpty());
}

TEST(Malformed, ASyntaxErrorEndsTheFileAndWhatCameBeforeIsKept) {
  const Reading read(Format::kZipkin, absl::StrCat("[", kGoodText, ",\n {\"traceId\": tru"));
  EXPECT_EQ(read.spans.size(), 1U);
  ASSERT_EQ(read.failed.size(), 1U);
  EXPECT_THAT(read.failed[0], testing::StartsWith("2:1"));
  EXPECT_THAT(read.failed[0], HasSubstr("syntax error"));

  // Also those that still waited for their service.
  const Reading waited(Format::kJaeger, R"({"data": [{"spans": [
      {"traceID": "1", "spanID": "1", "startTime": 1, "processID": "p"}, oops)");
  EXPECT_EQ(waited.spans.size(), 1U);
  EXPECT_EQ(waited.failed.size(), 1U);
}

TEST(Malformed, RowsOfCsv) {
  const std::string header =
      "TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration\n";
  const Reading read(Format::kCsv, absl::StrCat(header, R"(1,1,root,a-b-c,"two
lines",5,6,1
1,2,root
1,3,root,a-b-c,op,x,6,1
1,4,root,a-b-c,op,5,6,1
1,5,root,a-b-c,"op,5,6,1
)"));
  EXPECT_EQ(read.spans.size(), 2U);
  EXPECT_THAT(read.refused, ElementsAre("4:1: it has 3 fields, the header 8",
                                        "5:1: StartTimeUnixNano is no time: \"x\""));
  ASSERT_EQ(read.failed.size(), 1U);
  EXPECT_THAT(read.failed[0], HasSubstr("7:1: a quote"));

  const Reading endless(Format::kCsv, absl::StrCat(header, "\"", Times(3'000'000, "a")));
  ASSERT_EQ(endless.failed.size(), 1U);
  EXPECT_THAT(endless.failed[0], HasSubstr("longer than 1 MiB"));

  EXPECT_THAT(Reading(Format::kCsv, "TraceID,SpanID\n1,2\n").failed[0], HasSubstr("header lacks"));
  EXPECT_THAT(Reading(Format::kCsv, "").failed, ElementsAre("1:1: it is empty"));
}

TEST(Hostile, DepthIsRefusedAloneAndOverflowsNoStack) {
  constexpr std::size_t kDeep = 2'000'000;
  const std::string bomb =
      absl::StrCat(R"({"traceId": "1", "id": "2", "timestamp": 3, "tags": {"a": )",
                   Times(kDeep, "["), Times(kDeep, "]"), "}}");
  const Reading read(Format::kZipkin, absl::StrCat("[", bomb, ",", kGoodText, "]"));
  EXPECT_EQ(read.spans.size(), 1U);
  EXPECT_THAT(read.refused, ElementsAre("1:2: nested too deeply"));
  EXPECT_THAT(read.failed, IsEmpty());

  const std::string objects =
      absl::StrCat(R"({"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": )",
                   Times(kDeep, "{\"a\":"), "1", Times(kDeep, "}"), "}]}]}]}");
  EXPECT_THAT(Reading(Format::kOtlp, objects).refused, ElementsAre("1:47: nested too deeply"));

  for (const Format format : {Format::kJaeger, Format::kOtlp, Format::kZipkin}) {
    for (const char* opening : {"[", "{\"a\":", "{\"data\":", "[[{\"spans\":"}) {
      const Reading deep(format, Times(kDeep / 4, opening));
      EXPECT_THAT(deep.spans, IsEmpty());
      EXPECT_EQ(deep.failed.size(), 1U);
    }
  }
}

TEST(Hostile, ASpanOfTooManyPartsIsRefusedAlone) {
  const std::string bomb =
      absl::StrCat(R"([{"traceId": "1", "id": "2", "timestamp": 3, "x": [)",
                   Times(JsonWalker::kMostNodes + 1, "0,"), "0]},", kGoodText, "]");
  const Reading read(Format::kZipkin, bomb);
  EXPECT_EQ(read.spans.size(), 1U);
  EXPECT_THAT(read.refused, ElementsAre("1:2: has too many parts"));
}

TEST(Hostile, ASpanThatIsTooLongIsRefusedAloneAndAnEndlessValueEndsTheFile) {
  const std::string text(JsonWalker::kMostBytes + 10, 'x');
  const std::string long_span = absl::StrCat(
      R"([{"traceId": "1", "id": "2", "timestamp": 3, "x": ")", text, "\"},", kGoodText, "]");
  const Reading read(Format::kZipkin, long_span);
  EXPECT_EQ(read.spans.size(), 1U);
  EXPECT_THAT(read.refused, ElementsAre("1:2: longer than 16 MiB"));

  const Reading endless(Format::kZipkin,
                        absl::StrCat("[", kGoodText, ", \"", text, text, text, "\"]"));
  EXPECT_EQ(endless.spans.size(), 1U);
  ASSERT_EQ(endless.failed.size(), 1U);
  EXPECT_THAT(endless.failed[0], HasSubstr("a single value is too long"));
}

TEST(Hostile, CopiesOfParentsDoNotCount) {
  const std::string parent(JsonWalker::kMostBytes / 2, 'x');
  const std::string copies =
      absl::StrCat(R"({"refType": "CHILD_OF", "spanID": "7", "span": {"x": ")", parent, "\"}}");
  const Reading read(
      Format::kJaeger,
      absl::StrCat(R"({"data": [{"spans": [{"traceID": "1", "spanID": "2", "startTime": 1,
        "references": [)",
                   copies, ",", copies, ",", copies, "]}]}]}"));
  ASSERT_EQ(read.spans.size(), 1U);
  EXPECT_EQ(read.spans[0].parent_id, TraceId(0, 7));
}

TEST(Hostile, NulAndLongTextsFitTheirColumns) {
  const std::string name(300, 'n');
  const Reading read(
      Format::kZipkin,
      absl::StrCat(R"([{"traceId": "1", "id": "2", "timestamp": 3, "name": ")", name,
                   R"(", "tags": {"a\u0000b": "c\u0000"}, "localEndpoint": {"serviceName": ")",
                   name, "\"}}]"));
  ASSERT_EQ(read.spans.size(), 1U);
  EXPECT_EQ(read.spans[0].operation.size(), 255U);
  EXPECT_EQ(read.spans[0].service.size(), 255U);
  EXPECT_EQ(read.spans[0].metadata,
            "{\"a\xef\xbf\xbd"
            "b\":\"c\xef\xbf\xbd\"}");
}

TEST(Gzip, MembersBehindOneAnother) {
  const Reading read(Format::kZipkin, Gzipped(absl::StrCat("[", kGoodText, ",")) +
                                          Gzipped(absl::StrCat(kGoodText, "]")));
  EXPECT_EQ(read.spans.size(), 2U);
  EXPECT_THAT(read.failed, IsEmpty());
}

TEST(Gzip, WhatCameBeforeTheDamageIsKept) {
  const std::string whole =
      Gzipped(absl::StrCat("[", Times(50'000, absl::StrCat(kGoodText, ",")), kGoodText, "]"));
  const Reading cut(Format::kZipkin, std::string_view(whole).substr(0, whole.size() / 2));
  EXPECT_GT(cut.spans.size(), 1'000U);
  ASSERT_EQ(cut.failed.size(), 1U);
  EXPECT_THAT(cut.failed[0], HasSubstr("end too early"));

  std::string damaged = whole;
  damaged[damaged.size() / 2] ^= '\xff';
  damaged[damaged.size() / 2 + 1] ^= '\xff';
  EXPECT_EQ(Reading(Format::kZipkin, damaged).failed.size(), 1U);
}

TEST(Positions, AcrossPiecesOfTheInput) {
  std::string text = "[";
  for (int i = 0; i < 5'000; ++i) absl::StrAppend(&text, kGoodText, ",\n");
  text += "   {\"id\": \"1\"}]";
  for (const std::string& stored : {text, Gzipped(text)}) {
    const Reading read(Format::kZipkin, stored);
    EXPECT_EQ(read.spans.size(), 5'000U);
    EXPECT_THAT(read.refused, ElementsAre("5001:4: no trace id"));
  }
}

}  // namespace
}  // namespace spanring::importer
