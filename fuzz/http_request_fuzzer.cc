// Request targets and the values in them: what is taken for a path, a parameter, an id.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/utf8.h"
#include "http/message.h"
#include "serve/parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view target(reinterpret_cast<const char*>(data), size);
  spanring::http::Request request;
  if (!spanring::http::ParseTarget(target, &request)) return 0;
  // Text that PostgreSQL takes, whatever was escaped how.
  const auto check = [](std::string_view text) {
    if (spanring::base::Sanitized(text) != text) std::abort();
  };
  if (!request.path.starts_with('/') || request.parts.empty() || !request.parts[0].empty()) {
    std::abort();
  }
  check(request.path);
  for (const std::string& part : request.parts) {
    check(part);
    (void)spanring::serve::ExecutionId(part);
    const auto id = spanring::serve::TraceId(part);
    if (id.ok() && id->size() != 36) std::abort();
  }
  spanring::serve::Parameters asked(request);
  for (const auto& [name, value] : request.query) {
    check(name);
    check(value);
    const std::int64_t number = asked.Number(name, 5, 1, 100);
    if (number < 1 || number > 100) std::abort();
  }
  (void)asked.status();
  return 0;
}
