// Any message is answered with JSON-RPC or not at all, over either transport; no database is needed
// for it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "mcp/protocol.h"
#include "mcp/text.h"

namespace {

using nlohmann::json;

bool IsResponse(const json& message) {
  return message.is_object() && message["jsonrpc"] == "2.0" && message.contains("id") &&
         message.contains("result") != message.contains("error");
}

void Check(const spanring::mcp::Reply& reply) {
  if (reply.body.empty()) {
    if (reply.http_status != 202) std::abort();
    return;
  }
  json said = json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  if (!said.is_array()) said = json::array({said});
  if (said.empty()) std::abort();
  for (const json& message : said) {
    if (!IsResponse(message)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto* const protocol =
      new spanring::mcp::Protocol({.reader = []() -> absl::StatusOr<spanring::answers::Reader*> {
                                     return absl::UnavailableError("no database");
                                   },
                                   .query_conninfo = []() -> absl::StatusOr<std::string> {
                                     return absl::UnavailableError("no database");
                                   }},
                                  "1");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Check(protocol->Answer(text));
  const spanring::mcp::Envelope modern = {"2026-07-28", "tools/call", "=?base64?aGVhbHRo?="};
  Check(protocol->Answer(text, &modern));
  // What is cleaned has nothing left to clean, and keeps its bound.
  const std::string cleaned = spanring::mcp::Cleaned(text, 100);
  if (cleaned.size() > 140 || spanring::mcp::Cleaned(cleaned, 200) != cleaned) std::abort();
  return 0;
}
