// The two ways a message comes: a line of standard input, or the body of a POST.
// Threads: ServeLines on the caller's; AnswerHttp on any, several at once.
// Memory: a line beyond 1 MiB is passed over, not kept.
// Errors: ServeLines is Unavailable when nobody takes what it says; AnswerHttp answers with a
// status. Design: docs/mcp.md
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "http/message.h"
#include "mcp/protocol.h"

namespace spanring::mcp {

// One message a line, until the end of `in`. Nothing but protocol goes to `out`.
[[nodiscard]] absl::Status ServeLines(const Protocol& protocol, int in, int out);

// Streamable HTTP without a session: POST is answered in JSON. `hosts` are names by which a page
// may call, beside those of this machine.
[[nodiscard]] http::Response AnswerHttp(const Protocol& protocol, const http::Request& request,
                                        const std::vector<std::string>& hosts);

}  // namespace spanring::mcp
