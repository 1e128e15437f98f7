#include "http/message.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace spanring::http {
namespace {

bool IsText(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = base::CharacterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// %41 to A; in a query also + to a space.
bool Decode(std::string_view text, bool plus_is_space, std::string* decoded) {
  decoded->clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const std::string_view digits = text.substr(i + 1, 2);
      unsigned char byte = 0;
      const char* const end = digits.data() + digits.size();
      if (digits.size() != 2 || std::from_chars(digits.data(), end, byte, 16).ptr != end) {
        return false;
      }
      c = static_cast<char>(byte);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    decoded->push_back(c);
  }
  return IsText(*decoded);
}

std::optional<std::string> Find(const Fields& fields, std::string_view name) {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [&](const auto& field) { return field.first == name; });
  if (found == fields.end()) return std::nullopt;
  return found->second;
}

}  // namespace

std::optional<std::string> Request::Header(std::string_view name) const {
  return Find(headers, name);
}

std::optional<std::string> Request::Query(std::string_view name) const { return Find(query, name); }

bool ParseTarget(std::string_view target, Request* request) {
  target = target.substr(0, target.find('#'));
  const std::size_t mark = target.find('?');
  const std::string_view path = target.substr(0, mark);
  if (!path.starts_with('/') || !Decode(path, false, &request->path)) return false;
  request->parts.clear();
  // A slash that was escaped is part of a name.
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (!Decode(path.substr(begin, end - begin), false, &request->parts.emplace_back())) {
      return false;
    }
    begin = end + 1;
  }
  request->query.clear();
  std::string_view rest =
      mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    std::string name;
    std::string value;
    if (!Decode(pair.substr(0, equals), true, &name) ||
        !Decode(pair.substr(std::min(equals + 1, pair.size())), true, &value)) {
      return false;
    }
    request->query.emplace_back(std::move(name), std::move(value));
  }
  return true;
}

Response ErrorResponse(int status, std::string_view message) {
  const nlohmann::json body = {{"error", {{"status", status}, {"message", message}}}};
  return {.status = status,
          .content_type = "application/json",
          .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
          .headers = {}};
}

}  // namespace spanring::http
