#include "flush/row_encoder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/utf8.h"
#include "ring/call_sites.h"

namespace spanring::flush {
namespace {

using ring::Item;
using ring::ItemKind;
using ring::RecordHeader;
using ring::RecordStatus;

static_assert(std::endian::native == std::endian::little, "the wire is big-endian");

// Appends to memory that has room.
class Writer {
 public:
  explicit Writer(std::uint8_t* at) : at_(at) {}
  std::uint8_t* at() const { return at_; }

  template <typename Number>
  void Put(Number value) {
    if constexpr (sizeof(value) == 8) {
      PutBytes(__builtin_bswap64(static_cast<std::uint64_t>(value)));
    } else if constexpr (sizeof(value) == 4) {
      PutBytes(__builtin_bswap32(static_cast<std::uint32_t>(value)));
    } else if constexpr (sizeof(value) == 2) {
      PutBytes(__builtin_bswap16(static_cast<std::uint16_t>(value)));
    } else {
      PutBytes(value);
    }
  }
  void Null() { Put(std::int32_t{-1}); }
  void Int64(std::int64_t value) {
    Put(std::int32_t{8});
    Put(value);
  }
  void Int32(std::int32_t value) {
    Put(std::int32_t{4});
    Put(value);
  }
  void Uuid(std::uint64_t high, std::uint64_t low) {
    Put(std::int32_t{16});
    Put(high);
    Put(low);
  }
  void Text(std::string_view text) {
    std::uint8_t* length = Skip(4);
    at_ = base::CopySanitized(text, at_);
    PutLength(length);
  }
  void Int64OrNull(std::int64_t value, bool is_set) { is_set ? Int64(value) : Null(); }
  void SpanIdOrNull(std::uint64_t id) { id != 0 ? Uuid(0, id) : Null(); }
  void TextOrNull(std::string_view text) { text.empty() ? Null() : Text(text); }

  // A field whose length is known when it is written.
  std::uint8_t* Skip(std::size_t bytes) {
    std::uint8_t* here = at_;
    at_ += bytes;
    return here;
  }
  void PutLength(std::uint8_t* field) {
    const std::uint32_t length = __builtin_bswap32(static_cast<std::uint32_t>(at_ - field) - 4);
    std::memcpy(field, &length, 4);
  }

  void Raw(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  template <typename Number>
  void Decimal(Number value) {
    const auto result = std::to_chars(reinterpret_cast<char*>(at_),
                                      reinterpret_cast<char*>(at_) + kDecimalBytes, value);
    at_ = reinterpret_cast<std::uint8_t*>(result.ptr);
  }
  void JsonString(std::string_view text);

  static constexpr std::size_t kDecimalBytes = 32;  // The longest double takes 24.

 private:
  template <typename Value>
  void PutBytes(Value value) {
    std::memcpy(at_, &value, sizeof(value));
    at_ += sizeof(value);
  }
  std::uint8_t* at_;
};

// Bytes that a JSON string holds as they are.
constexpr auto kJsonPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = 0x20; c < 0x80; ++c) plain[static_cast<std::size_t>(c)] = c != '"' && c != '\\';
  return plain;
}();

void Writer::JsonString(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  Raw("\"");
  while (!text.empty()) {
    const auto c = static_cast<std::uint8_t>(text[0]);
    std::size_t length = 1;
    if (kJsonPlain[c]) [[likely]] {
      *at_++ = c;
    } else if (c == '"' || c == '\\') {
      *at_++ = '\\';
      *at_++ = c;
    } else if ((length = base::CharacterLength(text)) == 0) {
      Raw("\xef\xbf\xbd");
      length = 1;
    } else if (c < 0x20) {
      Raw("\\u00");
      *at_++ = static_cast<std::uint8_t>(kHex[c >> 4]);
      *at_++ = static_cast<std::uint8_t>(kHex[c & 15]);
    } else {
      Raw(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  Raw("\"");
}

// What the items say, the last of each kind.
struct Fields {
  std::string_view service;
  std::string_view operation;
  std::string_view job_id;
  std::string_view model_id;
  std::string_view region;
  std::string_view error_message;
  std::string_view error_type;
  std::uint32_t lost_attributes = 0;
  bool has_attributes = false;
};

Fields ReadFields(const RecordHeader& record, const ring::CallSiteNames& names) {
  Fields fields;
  fields.service = names.service;
  fields.operation = names.operation;
  ring::ItemReader reader(ring::ItemsOf(&record));
  while (const auto item = reader.Next()) {
    switch (item->kind) {
      case ItemKind::kService:
        fields.service = item->value;
        break;
      case ItemKind::kOperation:
        fields.operation = item->value;
        break;
      case ItemKind::kJobId:
        fields.job_id = item->value;
        break;
      case ItemKind::kModelId:
        fields.model_id = item->value;
        break;
      case ItemKind::kRegion:
        fields.region = item->value;
        break;
      case ItemKind::kErrorMessage:
        fields.error_message = item->value;
        break;
      case ItemKind::kErrorType:
        fields.error_type = item->value;
        break;
      case ItemKind::kLostAttributes:
        fields.lost_attributes = item->As<std::uint32_t>();
        break;
      default:
        fields.has_attributes = true;
    }
  }
  return fields;
}

struct Times {
  std::int64_t start_ns;
  std::int64_t duration_ns;
  std::int64_t ended_before_start_ns = 0;
};

Times ReadTimes(const RecordHeader& record, const platform::TickCalibration& clock) {
  const bool start_given = (record.flags & ring::kStartIsUnixNs) != 0;
  const bool end_given = (record.flags & ring::kEndIsUnixNs) != 0;
  Times times;
  times.start_ns =
      start_given ? record.start : clock.UnixNanoseconds(static_cast<std::uint64_t>(record.start));
  if (!start_given && !end_given) {
    // From the ticks alone: a step of the wall clock in between changes no duration.
    times.duration_ns = clock.DurationNanoseconds(static_cast<std::uint64_t>(record.start),
                                                  static_cast<std::uint64_t>(record.end));
  } else {
    const std::int64_t end_ns =
        end_given ? record.end : clock.UnixNanoseconds(static_cast<std::uint64_t>(record.end));
    if (__builtin_sub_overflow(end_ns, times.start_ns, &times.duration_ns)) {
      times.duration_ns = end_ns > times.start_ns ? std::numeric_limits<std::int64_t>::max()
                                                  : std::numeric_limits<std::int64_t>::min();
    }
  }
  if (times.duration_ns < 0) {
    times.ended_before_start_ns =
        -std::max(times.duration_ns, std::numeric_limits<std::int64_t>::min() + 1);
    times.duration_ns = 0;
  }
  return times;
}

std::int64_t FloorToUs(std::int64_t ns) {
  const std::int64_t us = ns / 1000;
  return ns % 1000 < 0 ? us - 1 : us;
}

std::string_view StatusWord(RecordStatus status) {
  switch (status) {
    case RecordStatus::kCompleted:
      return "completed";
    case RecordStatus::kFailed:
      return "failed";
    case RecordStatus::kTimeout:
      return "timeout";
    default:
      return "started";
  }
}

void PutAttribute(Writer& writer, const Item& item) {
  writer.JsonString(item.key);
  writer.Raw(":");
  switch (item.kind) {
    case ItemKind::kInt64:
      writer.Decimal(item.As<std::int64_t>());
      break;
    case ItemKind::kDouble: {
      const double number = item.As<double>();
      if (std::isnan(number)) {
        writer.Raw("\"NaN\"");
      } else if (std::isinf(number)) {
        writer.Raw(number > 0 ? "\"Infinity\"" : "\"-Infinity\"");
      } else {
        writer.Decimal(number);
      }
      break;
    }
    case ItemKind::kBool:
      writer.Raw(item.As<char>() != 0 ? "true" : "false");
      break;
    default:
      writer.JsonString(item.value);
  }
}

bool IsAttribute(ItemKind kind) { return kind >= ItemKind::kString && kind <= ItemKind::kBool; }

// jsonb on the wire: a version byte and JSON text.
void PutMetadata(Writer& writer, const RecordHeader& record, const Fields& fields,
                 std::int64_t ended_before_start_ns) {
  if (!fields.has_attributes && fields.lost_attributes == 0 && ended_before_start_ns == 0) {
    return writer.Null();
  }
  std::uint8_t* length = writer.Skip(4);
  writer.Put(std::uint8_t{1});
  std::string_view separator = "{";
  const auto separate = [&] {
    writer.Raw(separator);
    separator = ",";
  };
  ring::ItemReader reader(ring::ItemsOf(&record));
  while (const auto item = reader.Next()) {
    if (!IsAttribute(item->kind)) continue;
    separate();
    PutAttribute(writer, *item);
  }
  if (fields.lost_attributes != 0) {
    separate();
    writer.Raw("\"spanring.dropped_attributes\":");
    writer.Decimal(fields.lost_attributes);
  }
  if (ended_before_start_ns != 0) {
    separate();
    writer.Raw("\"spanring.ended_before_start_ns\":");
    writer.Decimal(ended_before_start_ns);
  }
  if (separator == "{") writer.Raw(separator);
  writer.Raw("}");
  writer.PutLength(length);
}

}  // namespace

ring::CallSiteNames RowEncoder::NamesOf(std::uint16_t site) const {
  if (names_ == nullptr) return site == 0 ? ring::CallSiteNames() : ring::LookupCallSite(site);
  if (site >= names_->size()) return {};
  return {(*names_)[site].first, (*names_)[site].second};
}

// Enough for the row of any such record.
std::uint8_t* RowEncoder::Room(const RecordHeader& record) {
  // A control character takes six bytes in JSON and a number may take 24 bytes for eight; names of
  // a call site are not among the items.
  const std::size_t most = 2048 + 3 * default_service_.size() + 6 * std::size_t{record.size};
  if (row_.size() < most) row_.resize(most);
  return row_.data();
}

void RowEncoder::Append(const RecordHeader& record, const platform::TickCalibration& clock,
                        std::vector<std::uint8_t>& out) {
  const Fields fields = ReadFields(record, NamesOf(record.site));
  const Times times = ReadTimes(record, clock);
  Writer writer(Room(record));
  writer.Put(kRowColumnCount);
  const std::int64_t start_us = FloorToUs(times.start_ns);
  // The sum stays in range: a duration that overflowed was cut, a time of 2262 has room in int64
  // us.
  const std::int64_t start_rest_ns = (times.start_ns % 1000 + 1000) % 1000;
  const std::int64_t end_us =
      start_us + (start_rest_ns + times.duration_ns % 1000) / 1000 + times.duration_ns / 1000;
  writer.Int64(start_us - kPostgresEpochUs);
  writer.Int64(end_us - kPostgresEpochUs);
  writer.Int64(times.duration_ns);
  writer.Int64OrNull(record.execution_id, (record.flags & ring::kHasExecutionId) != 0);
  writer.Uuid(record.trace_id_high, record.trace_id_low);
  writer.Uuid(0, record.span_id);
  writer.SpanIdOrNull(record.parent_id);
  writer.Int32(static_cast<std::int32_t>(std::min<std::int64_t>(
      times.duration_ns / 1'000'000, std::numeric_limits<std::int32_t>::max())));
  writer.Text(fields.service.empty() ? std::string_view(default_service_) : fields.service);
  writer.Text(fields.operation);
  writer.Text(StatusWord(record.status));
  writer.TextOrNull(fields.job_id);
  writer.TextOrNull(fields.model_id);
  writer.TextOrNull(fields.region);
  writer.TextOrNull(fields.error_type);
  writer.TextOrNull(fields.error_message);
  PutMetadata(writer, record, fields, times.ended_before_start_ns);
  out.insert(out.end(), row_.data(), writer.at());
}

void RowEncoder::AppendOpen(const RecordHeader& record, const platform::TickCalibration& clock,
                            const TraceId& writer_id, std::vector<std::uint8_t>& out) {
  const Fields fields = ReadFields(record, NamesOf(record.site));
  const std::int64_t start_ns =
      (record.flags & ring::kStartIsUnixNs) != 0
          ? record.start
          : clock.UnixNanoseconds(static_cast<std::uint64_t>(record.start));
  Writer writer(Room(record));
  writer.Put(kOpenRowColumnCount);
  writer.Int64(FloorToUs(start_ns) - kPostgresEpochUs);
  writer.Int64OrNull(record.execution_id, (record.flags & ring::kHasExecutionId) != 0);
  writer.Uuid(record.trace_id_high, record.trace_id_low);
  writer.Uuid(0, record.span_id);
  writer.SpanIdOrNull(record.parent_id);
  writer.Uuid(writer_id.high(), writer_id.low());
  writer.Text(fields.service.empty() ? std::string_view(default_service_) : fields.service);
  writer.Text(fields.operation);
  writer.TextOrNull(fields.job_id);
  writer.TextOrNull(fields.model_id);
  writer.TextOrNull(fields.region);
  PutMetadata(writer, record, fields, 0);
  out.insert(out.end(), row_.data(), writer.at());
}

std::size_t RowLength(std::string_view rows) noexcept {
  const auto read = [&](std::size_t at, auto& value) {
    if (rows.size() < at + sizeof(value)) return false;
    std::memcpy(&value, rows.data() + at, sizeof(value));
    return true;
  };
  std::uint16_t fields = 0;
  if (!read(0, fields)) return 0;
  std::size_t at = sizeof(fields);
  for (std::uint16_t i = __builtin_bswap16(fields); i > 0; --i) {
    std::uint32_t wire = 0;
    if (!read(at, wire)) return 0;
    at += sizeof(wire);
    const auto length = static_cast<std::int32_t>(__builtin_bswap32(wire));
    if (length > 0) at += static_cast<std::size_t>(length);
    if (at > rows.size()) return 0;
  }
  return at;
}

}  // namespace spanring::flush
