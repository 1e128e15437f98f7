// Any bytes as the body of a request with spans, in JSON or protobuf, plain or compressed: no
// crash, bounded rows, each whole, and the same content for the same bytes. The first byte chooses.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "flush/row_encoder.h"
#include "http/compression.h"
#include "otlp/rows.h"

namespace {

namespace otlp = spanring::otlp;

void Require(bool condition) {
  if (!condition) std::abort();
}

void Read(otlp::Form form, std::string_view body) {
  const auto rows = otlp::ReadRows(form, body);
  if (!rows.ok()) return Require(!rows.status().message().empty());
  Require(rows->batch.rows <= otlp::kMostRows);
  Require((rows->refused > 0) == !rows->first_refusal.empty());
  std::string_view rest(reinterpret_cast<const char*>(rows->batch.data.data()),
                        rows->batch.data.size());
  std::uint32_t count = 0;
  for (; !rest.empty(); ++count) {
    const std::size_t length = spanring::flush::RowLength(rest);
    Require(length > 0 && length <= rest.size());
    rest.remove_prefix(length);
  }
  Require(count == rows->batch.rows);
  Require(otlp::ReadRows(form, body)->content == rows->content);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr std::size_t kMostBytes = std::size_t{1} << 20;
  switch (*data) {
    case 'j':
      Read(otlp::Form::kJson, bytes);
      break;
    case 'p':
      Read(otlp::Form::kProtobuf, bytes);
      break;
    default: {
      const auto plain = spanring::http::Gunzip(bytes, kMostBytes);
      if (!plain.ok()) break;
      Require(plain->size() <= kMostBytes);
      Read(*data % 2 == 0 ? otlp::Form::kJson : otlp::Form::kProtobuf, *plain);
    }
  }
  return 0;
}
