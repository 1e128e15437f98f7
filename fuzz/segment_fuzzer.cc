// Any bytes as a segment of the journal: what is read back is made of whole frames.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "flush/row_encoder.h"
#include "flush/row_reader.h"
#include "flush/segment.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto segment = spanring::flush::ReadSegment(bytes);
  if (segment.ok() && segment->data.size() > size) std::abort();
  if (spanring::flush::RowsClaimed(bytes) > size) std::abort();
  // The rows, which a checksum that happens to be right would let through.
  std::size_t at = 0;
  while (const std::size_t length = spanring::flush::RowLength(bytes.substr(at))) {
    if (length > bytes.size() - at) std::abort();
    at += length;
  }
  // The fields of a row are those of the row.
  std::string_view rest = bytes;
  spanring::flush::RowView row;
  while (spanring::flush::ReadRow(&rest, &row)) {
    for (const std::string_view text : {row.service, row.operation, row.status, row.job_id}) {
      if (text.size() > size) std::abort();
    }
  }
  if (spanring::flush::MaybeReported(bytes).size() > size) std::abort();
  static_cast<void>(spanring::flush::SequenceOf(bytes));
  return 0;
}
