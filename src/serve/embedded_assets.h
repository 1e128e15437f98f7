// The page of web/ as it was built, in this program.
// Threads: constants.
// Memory: static.
// Errors: none.
// Design: docs/web.md
#pragma once

#include <span>
#include <string_view>

namespace spanring::serve {

struct Asset {
  std::string_view path;  // "/assets/page.HASH.js": another content has another path
  std::string_view content_type;
  std::string_view body;
};

[[nodiscard]] std::string_view IndexPage();
[[nodiscard]] std::span<const Asset> Assets();

}  // namespace spanring::serve
