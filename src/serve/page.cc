#include "serve/page.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "serve/embedded_assets.h"

namespace spanring::serve {
namespace {

// What programs ask for; all of it may be refused without a token.
constexpr std::array<std::string_view, 5> kForPrograms = {"/api", "/metrics", "/healthz", "/readyz",
                                                          "/mcp"};

bool IsBelow(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

}  // namespace

bool IsPagePath(std::string_view path) {
  return std::none_of(kForPrograms.begin(), kForPrograms.end(),
                      [path](std::string_view folder) { return IsBelow(path, folder); });
}

http::Response PageAnswer(std::string_view path) {
  for (const Asset& asset : Assets()) {
    if (asset.path != path) continue;
    return {.status = 200,
            .content_type = std::string(asset.content_type),
            .body = std::string(asset.body),
            .headers = {{"Cache-Control", "public, max-age=31536000, immutable"}}};
  }
  // A view's address has no dot, so that a missing file is not answered with a page.
  if (IsBelow(path, "/assets") || path.find('.') != std::string_view::npos) {
    return http::ErrorResponse(404, "no such path");
  }
  return {.status = 200,
          .content_type = "text/html; charset=utf-8",
          .body = std::string(IndexPage()),
          .headers = {}};
}

}  // namespace spanring::serve
