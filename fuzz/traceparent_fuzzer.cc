// Any header is refused or read, and what was read is printed and read the same again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "spanring/id.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto context = spanring::SpanContext::FromTraceparent(text)) {
    if (!context->is_valid()) std::abort();
    const std::string printed = context->ToTraceparent();
    // What is known of the header survives, but for the version and the other flags.
    if (printed.substr(2, 51) != text.substr(2, 51)) std::abort();
    if (spanring::SpanContext::FromTraceparent(printed) != context) std::abort();
  }
  if (const auto id = spanring::TraceId::Parse(text)) {
    if (spanring::TraceId::Parse(id->ToUuid()) != id) std::abort();
    if (spanring::TraceId::Parse(id->ToHex()) != id) std::abort();
  }
  if (const auto id = spanring::SpanId::Parse(text)) {
    if (spanring::SpanId::Parse(id->ToHex()) != id) std::abort();
  }
  return 0;
}
