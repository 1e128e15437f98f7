#include "flush/row_encoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "flush/row.h"
#include "flush/row_reader.h"
#include "ring/call_sites.h"
#include "ring/record.h"

namespace spanring::flush {
namespace {

using namespace std::string_view_literals;
using ring::ItemKind;
using ring::RecordHeader;
using ring::RecordStatus;

// Builds a record as the recorder does.
class Record {
 public:
  Record() {
    header_.status = RecordStatus::kCompleted;
    header_.trace_id_high = 0x0192f0c17d3e7a2b;
    header_.trace_id_low = 0x8c4d5e6f708192a3;
    header_.span_id = 0x00f067aa0ba902b7;
    Times(1'000'000'000, 1'000'000'000);
  }
  RecordHeader& header() { return header_; }

  Record& Times(std::int64_t start_unix_ns, std::int64_t end_unix_ns) {
    header_.start = start_unix_ns;
    header_.end = end_unix_ns;
    header_.flags |= ring::kStartIsUnixNs | ring::kEndIsUnixNs;
    return *this;
  }
  Record& Item(ItemKind kind, std::string_view key, std::string_view value) {
    const ring::ItemHeader item{kind, static_cast<std::uint8_t>(key.size()),
                                static_cast<std::uint16_t>(value.size())};
    items_.append(reinterpret_cast<const char*>(&item), sizeof(item)).append(key).append(value);
    return *this;
  }
  template <typename Number>
  Record& NumberItem(ItemKind kind, std::string_view key, Number number) {
    return Item(kind, key, {reinterpret_cast<const char*>(&number), sizeof(number)});
  }

  Row Encode(std::string_view default_service = "default service", bool is_sampled = true) const {
    return OnlyRow(With(default_service, [&](RowEncoder& encoder, const RecordHeader& record,
                                             std::vector<std::uint8_t>& out) {
      encoder.Append(record, Clock(), out, is_sampled);
    }));
  }
  template <typename F>
  std::vector<std::uint8_t> With(std::string_view default_service, F encode) const {
    std::vector<std::uint64_t> memory((sizeof(RecordHeader) + items_.size() + 7) / 8);
    RecordHeader header = header_;
    header.size = static_cast<std::uint32_t>(memory.size() * 8);
    std::memcpy(memory.data(), &header, sizeof(header));
    std::memcpy(memory.data() + sizeof(header) / 8, items_.data(), items_.size());
    std::vector<std::uint8_t> out;
    RowEncoder encoder{std::string(default_service)};
    encode(encoder, *reinterpret_cast<const RecordHeader*>(memory.data()), out);
    return out;
  }
  static const platform::TickCalibration& Clock() {
    static const platform::TickCalibration clock;
    return clock;
  }

 private:
  RecordHeader header_{};
  std::string items_;
};

TEST(RowEncoder, PlainSpanFillsEveryColumn) {
  Record record;
  record.Times(1'700'000'000'123'456'789, 1'700'000'001'623'457'790);
  record.header().parent_id = 0xfedcba9876543210;
  record.header().execution_id = 2193;
  record.header().flags |= ring::kHasExecutionId;
  record.header().status = RecordStatus::kFailed;
  record.Item(ItemKind::kService, "", "runner")
      .Item(ItemKind::kOperation, "", "runner.execute_question")
      .Item(ItemKind::kJobId, "", "job-7")
      .Item(ItemKind::kModelId, "", "llama-3-70b")
      .Item(ItemKind::kRegion, "", "eu-west")
      .Item(ItemKind::kErrorType, "", "NETWORK_TIMEOUT")
      .Item(ItemKind::kErrorMessage, "", "no answer")
      .Item(ItemKind::kString, "text", "value")
      .NumberItem(ItemKind::kInt64, "number", std::int64_t{-5})
      .NumberItem(ItemKind::kDouble, "share", 0.25)
      .NumberItem(ItemKind::kBool, "yes", true)
      .NumberItem(ItemKind::kBool, "no", false);
  const Row row = record.Encode();
  EXPECT_EQ(row.UnixUs(kStartedAt), 1'700'000'000'123'456);
  EXPECT_EQ(row.UnixUs(kCompletedAt), 1'700'000'001'623'457);
  EXPECT_EQ(row.Number(kDurationNs), 1'500'001'001);
  EXPECT_EQ(row.Number(kExecutionId), 2193);
  EXPECT_EQ(row.Uuid(kTraceIdColumn), "0192f0c17d3e7a2b8c4d5e6f708192a3");
  EXPECT_EQ(row.Uuid(kSpanIdColumn), "000000000000000000f067aa0ba902b7");
  EXPECT_EQ(row.Uuid(kParentSpanId), "0000000000000000fedcba9876543210");
  EXPECT_EQ(row.fields[kDurationMs]->size(), 4U);
  EXPECT_EQ(row.Number(kDurationMs), 1500);
  EXPECT_EQ(row.Text(kServiceColumn), "runner");
  EXPECT_EQ(row.Text(kOperationColumn), "runner.execute_question");
  EXPECT_EQ(row.Text(kStatusColumn), "failed");
  EXPECT_EQ(row.Text(kJobIdColumn), "job-7");
  EXPECT_EQ(row.Text(kModelIdColumn), "llama-3-70b");
  EXPECT_EQ(row.Text(kRegionColumn), "eu-west");
  EXPECT_EQ(row.Text(kErrorTypeColumn), "NETWORK_TIMEOUT");
  EXPECT_EQ(row.Text(kErrorMessageColumn), "no answer");
  EXPECT_EQ(row.Json(kMetadata),
            R"({"text":"value","number":-5,"share":0.25,"yes":true,"no":false})");
}

TEST(RowEncoder, WhatWasNotSetIsNull) {
  const Row row = Record().Encode();
  for (const Column column : {kExecutionId, kParentSpanId, kJobIdColumn, kModelIdColumn,
                              kRegionColumn, kErrorTypeColumn, kErrorMessageColumn, kMetadata}) {
    EXPECT_TRUE(row.IsNull(column)) << column;
  }
  EXPECT_EQ(row.Text(kServiceColumn), "default service");
  EXPECT_EQ(row.Text(kOperationColumn), "");
  EXPECT_EQ(row.Text(kStatusColumn), "completed");
}

TEST(RowEncoder, EmptyTextsAreNullAndAnExecutionIdOfZeroIsNot) {
  Record record;
  record.header().flags |= ring::kHasExecutionId;
  for (const ItemKind kind : {ItemKind::kJobId, ItemKind::kModelId, ItemKind::kRegion,
                              ItemKind::kErrorType, ItemKind::kErrorMessage}) {
    record.Item(kind, "", "");
  }
  const Row row = record.Encode();
  EXPECT_EQ(row.Number(kExecutionId), 0);
  for (const Column column :
       {kJobIdColumn, kModelIdColumn, kRegionColumn, kErrorTypeColumn, kErrorMessageColumn}) {
    EXPECT_TRUE(row.IsNull(column)) << column;
  }
}

TEST(RowEncoder, NamesComeFromTheCallSite) {
  static constinit internal::CallSiteData site{"site service", "site operation"};
  Record record;
  record.header().site = ring::RegisterCallSite(site);
  EXPECT_EQ(record.Encode().Text(kServiceColumn), "site service");
  EXPECT_EQ(record.Encode().Text(kOperationColumn), "site operation");
  static constinit internal::CallSiteData nameless{"", "op"};
  record.header().site = ring::RegisterCallSite(nameless);
  EXPECT_EQ(record.Encode().Text(kServiceColumn), "default service");
}

TEST(RowEncoder, StatusWords) {
  Record record;
  const auto word = [&](RecordStatus status) {
    record.header().status = status;
    return record.Encode().Text(kStatusColumn);
  };
  EXPECT_EQ(word(RecordStatus::kOpen), "started");
  EXPECT_EQ(word(RecordStatus::kCompleted), "completed");
  EXPECT_EQ(word(RecordStatus::kFailed), "failed");
  EXPECT_EQ(word(RecordStatus::kTimeout), "timeout");
  EXPECT_EQ(word(static_cast<RecordStatus>(200)), "started");
}

TEST(RowEncoder, ExtremesOfEveryType) {
  Record record;
  record.header().trace_id_high = ~std::uint64_t{0};
  record.header().trace_id_low = ~std::uint64_t{0};
  record.header().span_id = ~std::uint64_t{0};
  record.header().parent_id = ~std::uint64_t{0};
  record.header().execution_id = std::numeric_limits<std::int64_t>::min();
  record.header().flags |= ring::kHasExecutionId;
  record.NumberItem(ItemKind::kInt64, "min", std::numeric_limits<std::int64_t>::min())
      .NumberItem(ItemKind::kInt64, "max", std::numeric_limits<std::int64_t>::max())
      .NumberItem(ItemKind::kDouble, "largest", std::numeric_limits<double>::max())
      .NumberItem(ItemKind::kDouble, "lowest", std::numeric_limits<double>::lowest())
      .NumberItem(ItemKind::kDouble, "smallest", std::numeric_limits<double>::denorm_min())
      .NumberItem(ItemKind::kDouble, "third", 1.0 / 3)
      .NumberItem(ItemKind::kDouble, "minus zero", -0.0);
  const Row row = record.Encode();
  EXPECT_EQ(row.Number(kExecutionId), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(row.Uuid(kTraceIdColumn), std::string(32, 'f'));
  EXPECT_EQ(row.Uuid(kSpanIdColumn), std::string(16, '0') + std::string(16, 'f'));
  EXPECT_EQ(row.Uuid(kParentSpanId), std::string(16, '0') + std::string(16, 'f'));
  EXPECT_EQ(row.Json(kMetadata),
            R"({"min":-9223372036854775808,"max":9223372036854775807,)"
            R"("largest":1.7976931348623157e+308,"lowest":-1.7976931348623157e+308,)"
            R"("smallest":5e-324,"third":0.3333333333333333,"minus zero":-0})");
}

TEST(RowEncoder, NumbersThatJsonLacksAreStrings) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Row row = Record()
                      .NumberItem(ItemKind::kDouble, "a", std::nan(""))
                      .NumberItem(ItemKind::kDouble, "b", kInfinity)
                      .NumberItem(ItemKind::kDouble, "c", -kInfinity)
                      .NumberItem(ItemKind::kDouble, "d", -std::nan("1"))
                      .Encode();
  EXPECT_EQ(row.Json(kMetadata), R"({"a":"NaN","b":"Infinity","c":"-Infinity","d":"NaN"})");
}

TEST(RowEncoder, NulBytesAndInvalidUtf8BecomeReplacementsInEveryText) {
  constexpr std::string_view kBad = "a\0\xff\xc3z"sv;
  constexpr std::string_view kGood = "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz";
  const Row row = Record()
                      .Item(ItemKind::kService, "", kBad)
                      .Item(ItemKind::kOperation, "", kBad)
                      .Item(ItemKind::kJobId, "", kBad)
                      .Item(ItemKind::kModelId, "", kBad)
                      .Item(ItemKind::kRegion, "", kBad)
                      .Item(ItemKind::kErrorType, "", kBad)
                      .Item(ItemKind::kErrorMessage, "", kBad)
                      .Item(ItemKind::kString, kBad, kBad)
                      .Encode();
  for (const Column column : {kServiceColumn, kOperationColumn, kJobIdColumn, kModelIdColumn,
                              kRegionColumn, kErrorTypeColumn, kErrorMessageColumn}) {
    EXPECT_EQ(row.Text(column), kGood) << column;
  }
  std::string json = "{\"";
  json.append(kGood).append("\":\"").append(kGood).append("\"}");
  EXPECT_EQ(row.Json(kMetadata), json);
  EXPECT_EQ(Record().Encode(kBad).Text(kServiceColumn), kGood) << "the default service";
}

TEST(RowEncoder, ControlCharactersAndQuotesAreEscapedInMetadata) {
  const Row row =
      Record().Item(ItemKind::kString, "k\n\"\\", "\x01\x1f\t\r\b\x7f \"\\/ é \U0001F600").Encode();
  EXPECT_EQ(row.Json(kMetadata),
            "{\"k\\u000a\\\"\\\\\":\"\\u0001\\u001f\\u0009\\u000d\\u0008\x7f \\\"\\\\/ é "
            "\U0001F600\"}");
}

TEST(RowEncoder, TextColumnsKeepControlCharacters) {
  const Row row = Record().Item(ItemKind::kErrorMessage, "", "line\n\tnext\x01").Encode();
  EXPECT_EQ(row.Text(kErrorMessageColumn), "line\n\tnext\x01");
}

TEST(RowEncoder, LongTextsAreWhole) {
  const std::string name(255, 'n');
  const std::string message(ring::kMaxErrorBytes, 'm');
  const std::string worst(10'000, '\x01');  // Six bytes each in JSON.
  const Row row = Record()
                      .Item(ItemKind::kService, "", name)
                      .Item(ItemKind::kErrorMessage, "", message)
                      .Item(ItemKind::kString, name, worst)
                      .Encode();
  EXPECT_EQ(row.Text(kServiceColumn), name);
  EXPECT_EQ(row.Text(kErrorMessageColumn), message);
  EXPECT_EQ(row.Json(kMetadata).size(), 2 + 257 + 1 + 2 + 6 * worst.size());
}

TEST(RowEncoder, LongCallSitesOfInvalidBytesHaveRoom) {
  static const std::string bad(255, '\xff');
  static internal::CallSiteData site{bad, bad};
  Record record;
  record.header().site = ring::RegisterCallSite(site);
  record.Times(100, 50);
  record.NumberItem(ItemKind::kLostAttributes, "", std::uint32_t{4'000'000'000});
  const Row row = record.Encode(std::string(1000, '\xff'));
  EXPECT_EQ(row.Text(kServiceColumn).size(), 765U);
  EXPECT_EQ(row.Text(kOperationColumn).size(), 765U);
}

TEST(RowEncoder, DuplicateKeysKeepTheirOrderSoThatJsonbTakesTheLast) {
  const Row row =
      Record().Item(ItemKind::kString, "k", "first").Item(ItemKind::kString, "k", "last").Encode();
  EXPECT_EQ(row.Json(kMetadata), R"({"k":"first","k":"last"})");
}

TEST(RowEncoder, TheLastExecutionContextWins) {
  const Row row =
      Record().Item(ItemKind::kJobId, "", "first").Item(ItemKind::kJobId, "", "second").Encode();
  EXPECT_EQ(row.Text(kJobIdColumn), "second");
}

TEST(RowEncoder, AnEmptyKeyIsKept) {
  EXPECT_EQ(Record().Item(ItemKind::kString, "", "").Encode().Json(kMetadata), R"({"":""})");
}

TEST(RowEncoder, ExplicitTimesFrom1678To2262) {
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  Row row = Record().Times(kLeast, kLeast).Encode();
  EXPECT_EQ(row.UnixUs(kStartedAt), kLeast / 1000 - 1);
  EXPECT_EQ(row.UnixUs(kCompletedAt), kLeast / 1000 - 1);
  EXPECT_EQ(row.Number(kDurationNs), 0);
  row = Record().Times(kMost, kMost).Encode();
  EXPECT_EQ(row.UnixUs(kStartedAt), kMost / 1000);
  EXPECT_EQ(row.UnixUs(kCompletedAt), kMost / 1000);
  // Longer than a duration can be: the longest one.
  row = Record().Times(kLeast, kMost).Encode();
  EXPECT_EQ(row.Number(kDurationNs), kMost);
  EXPECT_EQ(row.Number(kDurationMs), std::numeric_limits<std::int32_t>::max());
  EXPECT_TRUE(row.IsNull(kMetadata));
  row = Record().Times(kMost, kLeast).Encode();
  EXPECT_EQ(row.Number(kDurationNs), 0);
  EXPECT_EQ(row.Json(kMetadata), R"({"spanring.ended_before_start_ns":9223372036854775807})");
}

TEST(RowEncoder, EndBeforeStartHasNoDurationAndSaysByHowMuch) {
  const Row row =
      Record().Times(5'000'000, 3'000'000).NumberItem(ItemKind::kBool, "b", true).Encode();
  EXPECT_EQ(row.Number(kDurationNs), 0);
  EXPECT_EQ(row.Number(kDurationMs), 0);
  EXPECT_EQ(row.UnixUs(kStartedAt), 5000);
  EXPECT_EQ(row.UnixUs(kCompletedAt), 5000);
  EXPECT_EQ(row.Json(kMetadata), R"({"b":true,"spanring.ended_before_start_ns":2000000})");
}

TEST(RowEncoder, MicrosecondsAreFlooredBefore1970Too) {
  Row row = Record().Times(-1, 0).Encode();
  EXPECT_EQ(row.UnixUs(kStartedAt), -1);
  EXPECT_EQ(row.UnixUs(kCompletedAt), 0);
  EXPECT_EQ(row.Number(kDurationNs), 1);
  row = Record().Times(-1000, -999).Encode();
  EXPECT_EQ(row.UnixUs(kStartedAt), -1);
  EXPECT_EQ(row.UnixUs(kCompletedAt), -1);
  row = Record().Times(-1001, -1).Encode();
  EXPECT_EQ(row.UnixUs(kStartedAt), -2);
  EXPECT_EQ(row.UnixUs(kCompletedAt), -1);
  row = Record().Times(999, 1001).Encode();
  EXPECT_EQ(row.UnixUs(kStartedAt), 0);
  EXPECT_EQ(row.UnixUs(kCompletedAt), 1);
}

TEST(RowEncoder, TicksBecomeTimeAndDuration) {
  Record record;
  record.header().flags = 0;
  record.header().start = static_cast<std::int64_t>(platform::Ticks());
  record.header().end = record.header().start + 1'000'000;
  const std::int64_t start_ns =
      Record::Clock().UnixNanoseconds(static_cast<std::uint64_t>(record.header().start));
  const Row row = record.Encode();
  EXPECT_EQ(row.UnixUs(kStartedAt), start_ns / 1000);
  EXPECT_EQ(row.Number(kDurationNs),
            Record::Clock().DurationNanoseconds(static_cast<std::uint64_t>(record.header().start),
                                                static_cast<std::uint64_t>(record.header().end)));
}

TEST(RowEncoder, OneGivenTimeAndOneReading) {
  Record record;
  record.header().flags = ring::kStartIsUnixNs;
  record.header().end = static_cast<std::int64_t>(platform::Ticks());
  const std::int64_t end_ns =
      Record::Clock().UnixNanoseconds(static_cast<std::uint64_t>(record.header().end));
  record.header().start = end_ns - 12'345;
  EXPECT_EQ(record.Encode().Number(kDurationNs), 12'345);
}

TEST(RowEncoder, LostAttributesAreSaid) {
  const Row row = Record()
                      .Item(ItemKind::kString, "k", "v")
                      .NumberItem(ItemKind::kLostAttributes, "", std::uint32_t{7})
                      .Encode();
  EXPECT_EQ(row.Json(kMetadata), R"({"k":"v","spanring.dropped_attributes":7})");
  EXPECT_EQ(
      Record().NumberItem(ItemKind::kLostAttributes, "", std::uint32_t{1}).Encode().Json(kMetadata),
      R"({"spanring.dropped_attributes":1})");
}

TEST(RowEncoder, ItemsOfAKindThatIsNotKnownAreLeftOut) {
  const Row row = Record().Item(static_cast<ItemKind>(99), "k", "v").Encode();
  EXPECT_EQ(row.Json(kMetadata), "{}");
}

TEST(RowEncoder, AppendsBehindWhatIsThere) {
  std::vector<std::uint8_t> out;
  RowEncoder encoder("service");
  RecordHeader header{};
  header.size = sizeof(header);
  for (int i = 0; i < 100; ++i) {
    header.span_id = static_cast<std::uint64_t>(i);
    encoder.Append(header, Record::Clock(), out);
  }
  std::string_view rest(reinterpret_cast<const char*>(out.data()), out.size());
  for (int i = 0; i < 100; ++i) {
    ASSERT_GT(RowLength(rest), 0U);
    const Row row = TakeRow(rest);
    EXPECT_EQ(row.fields[kSpanIdColumn]->back(), static_cast<char>(i));
  }
  EXPECT_TRUE(rest.empty());
}

TEST(RowEncoder, WhatIsStoredOfAnUnsampledTraceSaysSo) {
  Record record;
  EXPECT_EQ(record.Encode("service", /*is_sampled=*/false).Json(kMetadata),
            R"({"spanring.sampled":false})");
  record.Item(ItemKind::kString, "key", "value");
  EXPECT_EQ(record.Encode("service", /*is_sampled=*/false).Json(kMetadata),
            R"({"key":"value","spanring.sampled":false})");
}

TEST(RowEncoder, ARowThatIsNotStoredHasWhatTheSumsNeedAndNoIds) {
  Record record;
  record.Times(1'700'000'000'123'456'789, 1'700'000'000'143'456'790);
  record.header().status = RecordStatus::kCompleted;
  record.header().parent_id = 5;
  record.header().flags |= ring::kHasExecutionId;
  record.header().execution_id = 7;
  record.Item(ItemKind::kOperation, "", "op").Item(ItemKind::kString, "key", "value");
  const std::vector<std::uint8_t> out = record.With(
      "service",
      [](RowEncoder& encoder, const RecordHeader& header, std::vector<std::uint8_t>& rows) {
        const EndedSpan span = encoder.Look(header, Record::Clock());
        EXPECT_EQ(span.service, "service");
        EXPECT_EQ(span.operation, "op");
        EXPECT_EQ(span.duration_ns, 20'000'001);
        encoder.AppendUnstored(header, Record::Clock(), rows);
      });
  std::string_view rows(reinterpret_cast<const char*>(out.data()), out.size());
  EXPECT_EQ(RowLength(rows), rows.size());
  RowView row;
  ASSERT_TRUE(ReadRow(&rows, &row));
  EXPECT_TRUE(rows.empty());
  EXPECT_FALSE(row.is_stored);
  EXPECT_EQ(row.started_us, 1'700'000'000'123'456);
  EXPECT_EQ(row.duration_ns, 20'000'001);
  EXPECT_EQ(row.service, "service");
  EXPECT_EQ(row.operation, "op");
  EXPECT_EQ(row.status, "completed");
  EXPECT_TRUE(row.has_parent);
  EXPECT_FALSE(row.execution_id.has_value());
  EXPECT_TRUE(row.trace_id.is_nil());
  EXPECT_TRUE(MaybeReported({reinterpret_cast<const char*>(out.data()), out.size()}).empty());
}

TEST(RowEncoder, ARowThatIsNotStoredSaysWhatMayHaveBeenReportedAsOpen) {
  for (const std::int64_t duration_ns : {99'999'999, 100'000'000}) {
    Record record;
    record.Times(1'700'000'000'000'000'000, 1'700'000'000'000'000'000 + duration_ns);
    const std::vector<std::uint8_t> out = record.With(
        "service",
        [](RowEncoder& encoder, const RecordHeader& header, std::vector<std::uint8_t>& rows) {
          encoder.AppendUnstored(header, Record::Clock(), rows);
        });
    const auto keys = MaybeReported({reinterpret_cast<const char*>(out.data()), out.size()});
    ASSERT_EQ(keys.size(), duration_ns < 100'000'000 ? 0U : 1U);
    if (keys.empty()) continue;
    EXPECT_EQ(keys[0].trace_id,
              TraceId(record.header().trace_id_high, record.header().trace_id_low));
    EXPECT_EQ(keys[0].span_id, SpanId(record.header().span_id));
  }
}

TEST(RowLength, IsZeroForARowCutAnywhere) {
  std::vector<std::uint8_t> out;
  RowEncoder encoder("service");
  RecordHeader header{};
  header.size = sizeof(header);
  encoder.Append(header, Record::Clock(), out);
  const std::string whole(out.begin(), out.end());
  EXPECT_EQ(RowLength(whole), whole.size());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(RowLength({cut.data(), cut.size()}), 0U) << size;
    // What follows belongs to the next row.
    EXPECT_EQ(RowLength(whole + whole.substr(0, size)), whole.size());
  }
}

TEST(RowLength, HugeFieldsAreNotWhole) {
  EXPECT_EQ(RowLength("\0\1\x7f\xff\xff\xff"sv), 0U);
  EXPECT_EQ(RowLength("\xff\xff\x7f\xff\xff\xff\x7f\xff\xff\xff"sv), 0U);
}

}  // namespace
}  // namespace spanring::flush
