// The Model Context Protocol: one JSON-RPC message in, one out. Revision 2026-07-28, whose requests
// carry their version in _meta, and those from 2024-11-05 on that begin with `initialize`; no state
// is kept for either. https://modelcontextprotocol.io/specification Threads: any, several at once.
// Memory: a message is at most 1 MiB.
// Errors: are JSON-RPC errors; a tool's own failure is a result with isError.
// Design: docs/mcp.md
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "mcp/tools.h"

namespace spanring::mcp {

inline constexpr std::size_t kMaxMessageBytes = 1024 * 1024;

// What HTTP says of a message beside it; absent with stdio.
struct Envelope {
  std::optional<std::string> version;  // MCP-Protocol-Version
  std::optional<std::string> method;   // Mcp-Method
  std::optional<std::string> name;     // Mcp-Name
};

struct Reply {
  std::string body;       // "" = there is nothing to say
  int http_status = 200;  // 202 where there is nothing to say
};

class Protocol {
 public:
  Protocol(Sources sources, std::string version)
      : sources_(std::move(sources)), version_(std::move(version)) {}

  [[nodiscard]] Reply Answer(std::string_view message, const Envelope* envelope = nullptr) const;

 private:
  using Json = nlohmann::json;
  struct Failure {
    int code;
    std::string message;
    Json data;
  };
  struct Outcome {
    Json result;
    std::optional<Failure> failure;
  };

  // A request's response; null for a notification.
  Json AnswerOne(const Json& message, const Envelope* envelope, int* http_status) const;
  Outcome AnswerRequest(const std::string& method, const Json& params, bool is_modern) const;
  Outcome Initialize(const Json& params) const;
  Outcome Discover() const;
  Outcome ToolCall(const Json& params) const;
  Outcome Read(const Json& params, bool is_modern) const;
  Outcome Prompt(const Json& params) const;
  // nullopt: it may be answered.
  std::optional<Failure> Refused(const std::string& method, const Json& params,
                                 const Envelope* envelope, bool* is_modern) const;
  std::optional<Failure> Mismatch(const std::string& method, const Json& params,
                                  const std::string& version, const Envelope& envelope) const;

  const Sources sources_;
  const std::string version_;
};

}  // namespace spanring::mcp
