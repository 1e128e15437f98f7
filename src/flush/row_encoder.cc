#include "flush/row_encoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "flush/copy_writer.h"
#include "ring/call_sites.h"

namespace spanring::flush {
namespace {

using ring::Item;
using ring::ItemKind;
using ring::RecordHeader;
using ring::RecordStatus;

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

void PutAttribute(CopyWriter& writer, const Item& item) {
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
void PutMetadata(CopyWriter& writer, const RecordHeader& record, const Fields& fields,
                 std::int64_t ended_before_start_ns, bool is_sampled) {
  if (!fields.has_attributes && fields.lost_attributes == 0 && ended_before_start_ns == 0 &&
      is_sampled) {
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
  if (!is_sampled) {
    separate();
    writer.Raw("\"spanring.sampled\":false");
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
                        std::vector<std::uint8_t>& out, bool is_sampled) {
  const Fields fields = ReadFields(record, NamesOf(record.site));
  const Times times = ReadTimes(record, clock);
  CopyWriter writer(Room(record));
  PutSpanRow(writer,
             {.start_ns = times.start_ns,
              .duration_ns = times.duration_ns,
              .has_execution_id = (record.flags & ring::kHasExecutionId) != 0,
              .execution_id = record.execution_id,
              .trace_id = TraceId(record.trace_id_high, record.trace_id_low),
              .span_id = TraceId(0, record.span_id),
              .parent_span_id = TraceId(0, record.parent_id),
              .service = ServiceOr(fields.service),
              .operation = fields.operation,
              .status = StatusWord(record.status),
              .job_id = fields.job_id,
              .model_id = fields.model_id,
              .region = fields.region,
              .error_type = fields.error_type,
              .error_message = fields.error_message},
             [&] { PutMetadata(writer, record, fields, times.ended_before_start_ns, is_sampled); });
  out.insert(out.end(), row_.data(), writer.at());
}

EndedSpan RowEncoder::Look(const RecordHeader& record,
                           const platform::TickCalibration& clock) const {
  const Fields fields = ReadFields(record, NamesOf(record.site));
  return {.trace_id = TraceId(record.trace_id_high, record.trace_id_low),
          .service = ServiceOr(fields.service),
          .operation = fields.operation,
          .status = record.status,
          .duration_ns = ReadTimes(record, clock).duration_ns};
}

void RowEncoder::AppendUnstored(const RecordHeader& record, const platform::TickCalibration& clock,
                                std::vector<std::uint8_t>& out) {
  const Fields fields = ReadFields(record, NamesOf(record.site));
  const Times times = ReadTimes(record, clock);
  CopyWriter writer(Room(record));
  writer.Put(std::uint16_t{kRowColumnCount | kNotStored});
  writer.Int64(FloorToUs(times.start_ns) - kPostgresEpochUs);
  writer.Null();
  writer.Int64(times.duration_ns);
  writer.Null();
  const bool may_be_reported = times.duration_ns >= kShortestReportedNs;
  writer.UuidOrNull(may_be_reported ? TraceId(record.trace_id_high, record.trace_id_low)
                                    : TraceId());
  writer.SpanIdOrNull(may_be_reported ? record.span_id : 0);
  writer.SpanIdOrNull(record.parent_id);
  writer.Null();
  writer.Text(ServiceOr(fields.service));
  writer.Text(fields.operation);
  writer.Text(StatusWord(record.status));
  for (int rest = kRowColumnCount - 11; rest > 0; --rest) writer.Null();
  out.insert(out.end(), row_.data(), writer.at());
}

void RowEncoder::AppendOpen(const RecordHeader& record, const platform::TickCalibration& clock,
                            const TraceId& writer_id, std::vector<std::uint8_t>& out) {
  const Fields fields = ReadFields(record, NamesOf(record.site));
  const std::int64_t start_ns =
      (record.flags & ring::kStartIsUnixNs) != 0
          ? record.start
          : clock.UnixNanoseconds(static_cast<std::uint64_t>(record.start));
  CopyWriter writer(Room(record));
  writer.Put(kOpenRowColumnCount);
  writer.Int64(FloorToUs(start_ns) - kPostgresEpochUs);
  writer.Int64OrNull(record.execution_id, (record.flags & ring::kHasExecutionId) != 0);
  writer.Uuid(record.trace_id_high, record.trace_id_low);
  writer.Uuid(0, record.span_id);
  writer.SpanIdOrNull(record.parent_id);
  writer.Uuid(writer_id.high(), writer_id.low());
  writer.Text(ServiceOr(fields.service));
  writer.Text(fields.operation);
  writer.TextOrNull(fields.job_id);
  writer.TextOrNull(fields.model_id);
  writer.TextOrNull(fields.region);
  PutMetadata(writer, record, fields, 0, /*is_sampled=*/true);
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
  for (int i = __builtin_bswap16(fields) & ~kNotStored; i > 0; --i) {
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
