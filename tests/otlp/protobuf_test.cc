// Protobuf's way of saying what JSON says, and bytes that say nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "import/reading.h"
#include "otlp/rows.h"
#include "otlp/wire.h"

namespace spanring::otlp {
namespace {

using importer::Span;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Sink : public importer::Sink {
 public:
  explicit Sink(std::string_view body) { importer::ReadOtlpProtobuf(body, this); }

  std::vector<Span> spans;
  std::vector<std::string> refused;
  std::vector<std::string> failed;

 private:
  bool Take(const Span& span) override {
    spans.push_back(span);
    return true;
  }
  void Refuse(importer::Position position, std::string reason) override {
    refused.push_back(absl::StrCat(position.column, ": ", reason));
  }
  void Fail(importer::Position position, std::string reason) override {
    failed.push_back(absl::StrCat(position.column, ": ", reason));
  }
};

TEST(Protobuf, GivesTheRowsThatItsJsonGives) {
  const Sink read(WholeRequest());
  EXPECT_THAT(read.refused, IsEmpty());
  EXPECT_THAT(read.failed, IsEmpty());
  ASSERT_EQ(read.spans.size(), 1U);
  EXPECT_EQ(read.spans[0].service, "router");
  EXPECT_EQ(read.spans[0].status, "failed");
  EXPECT_EQ(read.spans[0].error_type, "IOError");
  EXPECT_EQ(read.spans[0].error_message, "it broke");
  const auto protobuf = ReadRows(Form::kProtobuf, WholeRequest());
  const auto text = ReadRows(Form::kJson, kWholeJson);
  ASSERT_TRUE(protobuf.ok() && text.ok()) << protobuf.status() << text.status();
  EXPECT_EQ(protobuf->batch.rows, 1U);
  EXPECT_EQ(protobuf->batch.data, text->batch.data);
  EXPECT_FALSE(protobuf->content == text->content);
  EXPECT_EQ(protobuf->content, ReadRows(Form::kProtobuf, WholeRequest())->content);
}

TEST(Protobuf, ResourceAndScopeMayComeBehindTheSpans) {
  const Sink read(Bytes(1, Bytes(2, Bytes(2, SmallSpan(1)) + Bytes(1, Bytes(1, "late"))) +
                               Bytes(2, Bytes(2, SmallSpan(2))) +
                               Bytes(1, TextAttribute(1, "service.name", "s"))) +
                  Bytes(1, Bytes(2, Bytes(2, SmallSpan(3)))));
  ASSERT_EQ(read.spans.size(), 3U);
  EXPECT_EQ(read.spans[0].service, "s");
  EXPECT_EQ(json::parse(read.spans[0].metadata)["scope"]["name"], "late");
  EXPECT_EQ(read.spans[1].service, "s");
  EXPECT_EQ(read.spans[1].metadata, "");
  EXPECT_EQ(read.spans[2].service, "unknown_service");
}

TEST(Protobuf, MalformedSpansAreRefusedAlone) {
  const std::string no_trace = Bytes(2, FromHex("b7ad6b7169203331")) + Fixed64(7, 5);
  const std::string short_id = Bytes(1, "abc") + Bytes(2, FromHex("b7ad6b7169203331"));
  const std::string zero = Bytes(1, std::string(16, '\0')) + Bytes(2, std::string(8, '\0'));
  const std::string no_start =
      Bytes(1, FromHex("0af7651916cd43dd8448eb211c80319c")) + Bytes(2, FromHex("b7ad6b7169203331"));
  const std::string late = no_start + Fixed64(7, UINT64_MAX);
  std::string deep = "";
  for (int i = 0; i < 200; ++i) deep = Bytes(5, Bytes(1, deep));
  std::string wide = SmallSpan(8);
  for (int i = 0; i < 1'000'001; ++i) wide += Bytes(9, "");
  const Sink read(RequestOf(Bytes(2, no_trace) + Bytes(2, short_id) + Bytes(2, zero) +
                            Bytes(2, no_start) + Bytes(2, late) +
                            Bytes(2, SmallSpan(7) + KeyValue(9, "deep", deep)) + Bytes(2, wide) +
                            Bytes(2, SmallSpan(9))));
  EXPECT_THAT(read.failed, IsEmpty());
  EXPECT_THAT(read.refused,
              ElementsAre(HasSubstr("no trace id"), HasSubstr("traceId has 3 bytes, not 16"),
                          HasSubstr("span id is 0"), HasSubstr("no startTimeUnixNano"),
                          HasSubstr("startTimeUnixNano is no time"), HasSubstr("nested too deeply"),
                          HasSubstr("has too many parts")));
  ASSERT_EQ(read.spans.size(), 1U);
  EXPECT_EQ(read.spans[0].span_id, TraceId(0, 9));
}

// Whatever is cut off anywhere is no request, or one whose last field is left out as a whole.
TEST(Protobuf, ACutRequestIsNoRequest) {
  const std::string whole = WholeRequest();
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const Sink read(std::string_view(whole).substr(0, size));
    EXPECT_EQ(read.failed.size(), 1U) << size;
    EXPECT_FALSE(ReadRows(Form::kProtobuf, std::string_view(whole).substr(0, size)).ok());
  }
}

TEST(Protobuf, UnknownFieldsArePassedOverAndGroupsAreNot) {
  const std::string unknown = Number(99, 1) + Fixed64(98, 2) + Fixed32(97, 3) + Bytes(96, "four");
  // Of another wire type a field is not the one that is known.
  const Sink read(unknown + Number(1, 5) +
                  RequestOf(unknown + Bytes(2, SmallSpan(1) + unknown + Bytes(6, "kind"))));
  EXPECT_THAT(read.failed, IsEmpty());
  ASSERT_EQ(read.spans.size(), 1U);
  EXPECT_EQ(read.spans[0].metadata, "");
  EXPECT_EQ(Sink(Varint(99 << 3 | 3) + Varint(99 << 3 | 4)).failed.size(), 1U);
  EXPECT_EQ(Sink(Varint(0 << 3)).failed.size(), 1U) << "there is no field 0";
  EXPECT_EQ(Sink(std::string(11, '\xff')).failed.size(), 1U) << "no number has so many bytes";
  EXPECT_EQ(Sink("hello").failed.size(), 1U);
  EXPECT_THAT(Sink("").failed, IsEmpty()) << "a request without spans";
}

TEST(Protobuf, TextsAndNumbersThatPostgresDoesNotTake) {
  const Sink read(RequestOf(
      Bytes(2, SmallSpan(1, std::string_view("a\0b\xff", 4)) +
                   KeyValue(9, "nan", Double(4, std::nan(""))) +
                   KeyValue(9, "inf", Double(4, -std::numeric_limits<double>::infinity())))));
  ASSERT_EQ(read.spans.size(), 1U);
  EXPECT_EQ(read.spans[0].operation,
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd");
  EXPECT_EQ(json::parse(read.spans[0].metadata),
            json::parse(R"({"nan": "NaN", "inf": "-Infinity"})"));
}

// https://protobuf.dev/programming-guides/encoding/#last-one-wins
TEST(Protobuf, WhatComesTwiceIsMergedOrReplaced) {
  const std::string status = Bytes(15, Bytes(2, "it broke")) + Bytes(15, Number(3, 2));
  const Sink read(RequestOf(
      Bytes(2, SmallSpan(1, "a") + status + Bytes(5, "b") +
                   Bytes(9, Bytes(1, "x") + Bytes(2, Bytes(1, "text")) + Bytes(2, Number(3, 5))))));
  ASSERT_EQ(read.spans.size(), 1U);
  EXPECT_EQ(read.spans[0].operation, "b");
  EXPECT_EQ(read.spans[0].status, "failed");
  EXPECT_EQ(read.spans[0].error_message, "it broke");
  EXPECT_EQ(json::parse(read.spans[0].metadata), json::parse(R"({"x": 5})"));
}

TEST(Protobuf, AServiceMayHaveANumberForAName) {
  const Sink read(Bytes(1, Bytes(1, KeyValue(1, "service.name", Number(3, 5))) +
                               Bytes(2, Bytes(2, SmallSpan(1)))) +
                  Bytes(1, Bytes(1, KeyValue(1, "service.name", Bytes(5, ""))) +
                               Bytes(2, Bytes(2, SmallSpan(2)))));
  ASSERT_EQ(read.spans.size(), 2U);
  EXPECT_EQ(read.spans[0].service, "5");
  EXPECT_EQ(read.spans[1].service, "unknown_service");
  EXPECT_EQ(json::parse(read.spans[1].metadata)["resource"]["service.name"], json::array());
}

TEST(Protobuf, EnumsHave32Bits) {
  const Sink read(RequestOf(Bytes(2, SmallSpan(1) + Number(6, (std::uint64_t{1} << 32) + 3) +
                                         Bytes(15, Number(3, (std::uint64_t{1} << 32) + 2))) +
                            Bytes(2, SmallSpan(2) + Number(6, static_cast<std::uint64_t>(-5)) +
                                         Bytes(15, Number(3, 9)))));
  ASSERT_EQ(read.spans.size(), 2U);
  EXPECT_EQ(json::parse(read.spans[0].metadata), json::parse(R"({"span.kind": "client"})"));
  EXPECT_EQ(read.spans[0].status, "failed");
  EXPECT_EQ(read.spans[1].metadata, "");
  EXPECT_EQ(read.spans[1].status, "completed");
}

// It was an execution of another number.
TEST(Protobuf, AFractionIsNoExecution) {
  const Sink read(
      RequestOf(Bytes(2, SmallSpan(1) + KeyValue(9, "execution_id", Double(4, 42.7))) +
                Bytes(2, SmallSpan(2) + TextAttribute(9, "execution_id", "42.7")) +
                Bytes(2, SmallSpan(3) + KeyValue(9, "execution_id", Double(4, 43.0))) +
                Bytes(2, SmallSpan(4) + TextAttribute(9, "execution_id", "9007199254740993"))));
  ASSERT_EQ(read.spans.size(), 4U);
  EXPECT_FALSE(read.spans[0].context.execution_id.has_value());
  EXPECT_EQ(json::parse(read.spans[0].metadata), json::parse(R"({"execution_id": 42.7})"));
  EXPECT_FALSE(read.spans[1].context.execution_id.has_value());
  EXPECT_EQ(read.spans[2].context.execution_id, 43);
  EXPECT_EQ(read.spans[3].context.execution_id, 9007199254740993);
}

// What spanring export wrote is taken as it is; what only says so must not cost the span.
TEST(Protobuf, MetadataThatPostgresDoesNotTakeStayAnAttribute) {
  const auto exported = [](std::string_view metadata) {
    return Bytes(2, SmallSpan(1) + TextAttribute(9, "spanring.status", "completed") +
                        TextAttribute(9, "spanring.metadata", metadata));
  };
  const std::string nul = R"({"a": "\u0000"})";
  const std::string deep = std::string(200, '[') + std::string(200, ']');
  const std::string escaped = R"({"a": ["\\u0000", 1.50]})";
  const Sink read(
      RequestOf(exported(nul) + exported(R"({"\u0000": 1})") + exported(deep) + exported(escaped)));
  ASSERT_EQ(read.spans.size(), 4U);
  EXPECT_EQ(json::parse(read.spans[0].metadata)["spanring.metadata"], nul);
  EXPECT_FALSE(read.spans[1].is_whole);
  EXPECT_FALSE(read.spans[2].is_whole);
  EXPECT_EQ(read.spans[3].metadata, escaped);
}

TEST(Rows, JsonThatIsNoRequest) {
  for (const std::string_view body :
       {"", "[]", "x", "\x1f\x8b", "{", R"({"resourceSpans": [)", "{} x", "{\"a\": \"\xff\"}"}) {
    EXPECT_EQ(ReadRows(Form::kJson, body).status().code(), absl::StatusCode::kInvalidArgument)
        << body;
  }
  EXPECT_EQ(ReadRows(Form::kJson, " {}")->batch.rows, 0U);
  const auto partly = ReadRows(Form::kJson, R"({"resourceSpans": [{"scopeSpans": [{"spans": [
      {"traceId": "1", "spanId": "1", "startTimeUnixNano": 1}, {"spanId": "2"}]}]}]})");
  ASSERT_TRUE(partly.ok()) << partly.status();
  EXPECT_EQ(partly->batch.rows, 1U);
  EXPECT_EQ(partly->refused, 1U);
  EXPECT_THAT(partly->first_refusal, HasSubstr("line 2, column 64: no trace id"));
}

// 200 without a word, and nothing was stored.
TEST(Rows, AListThatIsNoneIsSaid) {
  for (const std::string_view body :
       {R"({"resourceSpans": {"scopeSpans": []}})", R"({"resourceSpans": 5})",
        R"({"resourceSpans": [{"scopeSpans": {}}]})", R"({"resourceSpans": [{"scopeSpans": "x"}]})",
        R"({"resourceSpans": [{"scopeSpans": [{"spans": {"traceId": "1"}}]}]})"}) {
    const auto rows = ReadRows(Form::kJson, body);
    ASSERT_TRUE(rows.ok()) << body;
    EXPECT_EQ(rows->refused, 1U) << body;
    EXPECT_THAT(rows->first_refusal, HasSubstr("it is no list"));
  }
  EXPECT_EQ(ReadRows(Form::kJson, R"({"resourceSpans": null})")->refused, 0U);
}

TEST(Rows, ATimeOfZeroIsNoneInEitherForm) {
  const std::string ids =
      Bytes(1, FromHex("0af7651916cd43dd8448eb211c80319c")) + Bytes(2, FromHex("b7ad6b7169203331"));
  const auto protobuf = ReadRows(Form::kProtobuf, RequestOf(Bytes(2, ids + Fixed64(7, 0))));
  const auto text = ReadRows(Form::kJson, R"({"resourceSpans": [{"scopeSpans": [{"spans": [
      {"traceId": "1", "spanId": "1", "startTimeUnixNano": "0"}]}]}]})");
  for (const auto* rows : {&protobuf, &text}) {
    ASSERT_TRUE(rows->ok());
    EXPECT_EQ((*rows)->batch.rows, 0U);
    EXPECT_THAT((*rows)->first_refusal, HasSubstr("no startTimeUnixNano"));
  }
}

TEST(Rows, EitherFormMayBeAsDeepAsTheOther) {
  std::string value = Number(3, 1);
  std::string text = R"({"intValue": 1})";
  int taken = 0;
  for (int depth = 0; depth < 60; ++depth) {
    const auto protobuf =
        ReadRows(Form::kProtobuf, RequestOf(Bytes(2, SmallSpan(1) + KeyValue(9, "deep", value))));
    const auto written = ReadRows(
        Form::kJson,
        absl::StrCat(
            R"({"resourceSpans": [{"resource": {"attributes": [)"
            R"({"key": "service.name", "value": {"stringValue": "s"}}]}, "scopeSpans": [{"spans": [)"
            R"({"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "0000000000000001",)"
            R"( "name": "small", "startTimeUnixNano": "1700000000000000000",)"
            R"( "endTimeUnixNano": "1700000000000001000",)"
            R"( "attributes": [{"key": "deep", "value": )",
            text, "}]}]}]}]}"));
    ASSERT_TRUE(protobuf.ok() && written.ok());
    EXPECT_EQ(protobuf->batch.data, written->batch.data) << depth;
    taken += static_cast<int>(written->batch.rows);
    value = Bytes(5, Bytes(1, value));
    text = absl::StrCat(R"({"arrayValue": {"values": [)", text, "]}}");
  }
  EXPECT_GT(taken, 30);
  EXPECT_LT(taken, 60);
}

TEST(Rows, MoreSpansThanOneTransactionHas) {
  const std::string span = Bytes(2, SmallSpan(1));
  std::string spans;
  for (std::uint32_t i = 0; i < kMostRows; ++i) spans += span;
  EXPECT_EQ(ReadRows(Form::kProtobuf, RequestOf(spans))->batch.rows, kMostRows);
  EXPECT_EQ(ReadRows(Form::kProtobuf, RequestOf(spans + span)).status().code(),
            absl::StatusCode::kResourceExhausted);
}

std::size_t MostResidentBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

// What stands behind the spans is added to each, and was to all of them before any was counted: a
// gigabyte here, out of a megabyte.
TEST(Rows, WhatComesBehindManySpansIsAddedToOneAtATime) {
  std::string spans;
  for (std::uint64_t i = 1; i <= 1000; ++i) spans += Bytes(2, SmallSpan(i));
  const std::string text(1 << 20, 'x');
  const std::size_t before = MostResidentBytes();
  const std::string scope = Bytes(1, Bytes(1, text));
  const std::string resource = Bytes(1, TextAttribute(1, "late", text));
  for (const std::string& parts : {Bytes(2, spans + scope), Bytes(2, spans) + resource}) {
    const std::string body = Bytes(1, parts);
    const absl::Status status = ReadRows(Form::kProtobuf, body).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("64 MiB"));
  }
  EXPECT_LT(MostResidentBytes() - before, std::size_t{500} << 20);
}

TEST(Rows, SpansThatWaitForTheirResourceAreCountedTheSame) {
  const std::string span = Bytes(2, SmallSpan(1));
  std::string spans;
  for (std::uint32_t i = 0; i <= kMostRows; ++i) spans += span;
  // Behind them stands what is read no more.
  spans += "no message";
  const absl::Status status = ReadRows(Form::kProtobuf, Bytes(1, Bytes(2, spans))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

}  // namespace
}  // namespace spanring::otlp
