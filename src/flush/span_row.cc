#include "flush/span_row.h"

#include "flush/copy_writer.h"

namespace spanring::flush {

void AppendSpanRow(const SpanRow& row, std::string_view metadata, std::vector<std::uint8_t>& out) {
  const std::size_t texts = row.service.size() + row.operation.size() + row.status.size() +
                            row.job_id.size() + row.model_id.size() + row.region.size() +
                            row.error_type.size() + row.error_message.size();
  const std::size_t at = out.size();
  // The fixed fields take 180 bytes; a byte that is not text becomes three.
  out.resize(at + 256 + 3 * texts + metadata.size());
  CopyWriter writer(out.data() + at);
  PutSpanRow(writer, row, [&] {
    if (metadata.empty()) return writer.Null();
    std::uint8_t* length = writer.Skip(4);
    writer.Put(std::uint8_t{1});  // The version of jsonb on the wire.
    writer.Raw(metadata);
    writer.PutLength(length);
  });
  out.resize(static_cast<std::size_t>(writer.at() - out.data()));
}

}  // namespace spanring::flush
