// The page for people: its files, which hold no data and need no token, at every address of a view.
// Threads: any.
// Memory: copies of what the program carries.
// Errors: 404.
// Design: docs/web.md
#pragma once

#include <string_view>

#include "http/message.h"

namespace spanring::serve {

// Whether a path is the page's, and not for programs.
[[nodiscard]] bool IsPagePath(std::string_view path);

[[nodiscard]] http::Response PageAnswer(std::string_view path);

}  // namespace spanring::serve
