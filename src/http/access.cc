#include "http/access.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace spanring::http {
namespace {

// A comparison whose time says nothing about where the two differ.
bool IsSame(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0;
}

std::string Lower(std::string_view text) {
  return absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
}

// Where the port begins in "localhost:8126" or "[::1]:8126", or npos.
std::size_t PortAt(std::string_view host) {
  const std::size_t bracket = host.find(']');
  return host.find(':', bracket == std::string_view::npos ? 0 : bracket);
}

// Without the port: "http://[::1]:6274" as "[::1]"; "" where it is none.
std::string OriginHost(std::string_view rest) {
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else {
    return "";
  }
  const std::size_t colon = PortAt(rest);
  if (colon != std::string_view::npos) {
    int port = 0;
    const std::string_view digits = rest.substr(colon + 1);
    if (!absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &port)) return "";
    rest = rest.substr(0, colon);
  }
  return Lower(rest);
}

bool IsKnown(const std::string& host, const std::vector<std::string>& hosts) {
  static constexpr std::array<std::string_view, 3> kHere = {"localhost", "127.0.0.1", "[::1]"};
  return std::find(kHere.begin(), kHere.end(), host) != kHere.end() ||
         std::find(hosts.begin(), hosts.end(), host) != hosts.end();
}

}  // namespace

int Access::Refusal(const Request& request) const {
  if (!token.empty()) {
    const std::string given = request.Header("authorization").value_or("");
    constexpr std::string_view kScheme = "bearer ";
    const bool is_bearer = absl::AsciiStrToLower(given.substr(0, kScheme.size())) == kScheme;
    return is_bearer && IsSame(std::string_view(given).substr(kScheme.size()), token) ? 0 : 401;
  }
  const std::string host = request.Header("host").value_or("");
  return IsKnown(Lower(std::string_view(host).substr(0, PortAt(host))), hosts) ? 0 : 421;
}

bool Access::IsFromOwnOrigin(const Request& request) const {
  const std::optional<std::string> origin = request.Header("origin");
  return !origin || IsKnown(OriginHost(*origin), hosts);
}

std::string_view RefusalMessage(int status) {
  return status == 401
             ? "the token is missing or wrong: Authorization: Bearer TOKEN"
             : "not called by a name of this machine: use localhost, or start with --host NAME";
}

std::string MediaType(std::string_view text) {
  text = text.substr(0, text.find(';'));
  return absl::AsciiStrToLower(
      absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size())));
}

}  // namespace spanring::http
