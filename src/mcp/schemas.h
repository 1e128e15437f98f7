// The tools' schemas: what each takes and gives, as JSON Schema.
// Threads: constants, made on first use.
// Memory: kept until the program ends.
// Errors: none.
// Design: docs/mcp.md
#pragma once

#include <nlohmann/json.hpp>

namespace spanring::mcp {

// {"tools": [...]}.
[[nodiscard]] nlohmann::json MakeToolList();

}  // namespace spanring::mcp
