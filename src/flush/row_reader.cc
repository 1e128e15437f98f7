#include "flush/row_reader.h"

#include <cstring>

#include "flush/copy_writer.h"
#include "flush/row_encoder.h"

namespace spanring::flush {
namespace {

std::uint64_t Bytes64(std::string_view field, std::size_t at = 0) {
  std::uint64_t wire = 0;
  std::memcpy(&wire, field.data() + at, sizeof(wire));
  return __builtin_bswap64(wire);
}

// The fields of a row in turn.
class FieldReader {
 public:
  explicit FieldReader(std::string_view row) : row_(row) {}

  std::uint16_t Count() {
    std::uint16_t wire = 0;
    if (!Take(&wire, sizeof(wire))) return 0;
    return __builtin_bswap16(wire);
  }
  // Empty for NULL, too.
  std::string_view Next() {
    std::uint32_t wire = 0;
    if (!Take(&wire, sizeof(wire))) return {};
    const auto length = static_cast<std::int32_t>(__builtin_bswap32(wire));
    if (length <= 0) return {};
    if (row_.size() - at_ < static_cast<std::size_t>(length)) {
      is_whole_ = false;
      return {};
    }
    const std::string_view field = row_.substr(at_, static_cast<std::size_t>(length));
    at_ += field.size();
    return field;
  }
  // Of this length, or NULL where that may be.
  std::string_view Next(std::size_t length, bool may_be_null = false) {
    const std::string_view field = Next();
    if (field.size() != length && !(field.empty() && may_be_null)) is_whole_ = false;
    return field.size() == length ? field : std::string_view();
  }
  bool is_whole() const { return is_whole_; }
  std::size_t at() const { return at_; }

 private:
  bool Take(void* to, std::size_t size) {
    if (row_.size() - at_ < size) {
      is_whole_ = false;
      return false;
    }
    std::memcpy(to, row_.data() + at_, size);
    at_ += size;
    return true;
  }

  std::string_view row_;
  std::size_t at_ = 0;
  bool is_whole_ = true;
};

}  // namespace

bool ReadRow(std::string_view* rows, RowView* row) noexcept {
  FieldReader reader(*rows);
  const std::uint16_t count = reader.Count();
  if ((count & ~kNotStored) != kRowColumnCount) return false;
  row->is_stored = (count & kNotStored) == 0;
  const std::string_view started = reader.Next(8);
  const std::string_view ended = reader.Next(8, /*may_be_null=*/true);
  const std::string_view duration = reader.Next(8, /*may_be_null=*/true);
  const std::string_view execution = reader.Next(8, /*may_be_null=*/true);
  const std::string_view trace = reader.Next(16, /*may_be_null=*/!row->is_stored);
  const std::string_view span = reader.Next(16, /*may_be_null=*/!row->is_stored);
  const std::string_view parent = reader.Next(16, /*may_be_null=*/true);
  reader.Next(4, /*may_be_null=*/true);  // duration_ms
  row->service = reader.Next();
  row->operation = reader.Next();
  row->status = reader.Next();
  row->job_id = reader.Next();
  row->model_id = reader.Next();
  row->region = reader.Next();
  for (int rest = kRowColumnCount - 14; rest > 0; --rest) reader.Next();
  if (!reader.is_whole()) return false;
  const auto time_us = [](std::string_view field) {
    return static_cast<std::int64_t>(Bytes64(field)) + kPostgresEpochUs;
  };
  row->started_us = time_us(started);
  row->ended_us = ended.empty() ? row->started_us : time_us(ended);
  row->duration_ns = duration.empty() ? -1 : static_cast<std::int64_t>(Bytes64(duration));
  row->execution_id.reset();
  if (!execution.empty()) row->execution_id = static_cast<std::int64_t>(Bytes64(execution));
  row->trace_id = trace.empty() ? TraceId() : TraceId(Bytes64(trace), Bytes64(trace, 8));
  row->span_id = span.empty() ? SpanId() : SpanId(Bytes64(span, 8));
  row->has_parent = !parent.empty();
  rows->remove_prefix(reader.at());
  return true;
}

std::vector<SpanKey> MaybeReported(std::string_view rows) {
  std::vector<SpanKey> keys;
  RowView row;
  while (ReadRow(&rows, &row)) {
    if (row.duration_ns >= kShortestReportedNs) keys.push_back({row.trace_id, row.span_id});
  }
  return keys;
}

}  // namespace spanring::flush
