#include "spanring/propagation.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace spanring {
namespace {

constexpr std::size_t kMemberPart = 256;  // Characters of a key, and of a value.

bool IsPrintable(char c) noexcept { return c >= ' ' && c <= '~'; }

std::string_view WithoutSpaces(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool IsKey(std::string_view key) noexcept {
  const auto is_first = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (key.empty() || key.size() > kMemberPart || !is_first(key.front())) return false;
  return std::ranges::all_of(key, [&](char c) {
    return is_first(c) || std::string_view("_-*/@").find(c) != std::string_view::npos;
  });
}

// Without the comma, which ended it.
bool IsValue(std::string_view value) noexcept {
  if (value.empty() || value.size() > kMemberPart) return false;
  return std::ranges::all_of(value, [](char c) { return IsPrintable(c) && c != '='; });
}

// "" where it is not of the grammar: W3C leaves it to us what to do with parts of one.
std::string ReadTracestate(std::string_view header) {
  std::string list;
  std::size_t members = 0;
  while (!header.empty()) {
    const std::size_t comma = std::min(header.find(','), header.size());
    const std::string_view member = WithoutSpaces(header.substr(0, comma));
    header.remove_prefix(std::min(comma + 1, header.size()));
    if (member.empty()) continue;
    const std::size_t equals = member.find('=');
    if (++members > RemoteParent::kTracestateMembers || equals == std::string_view::npos ||
        !IsKey(member.substr(0, equals)) || !IsValue(member.substr(equals + 1))) {
      return {};
    }
    if (!list.empty()) list += ',';
    list += member;
  }
  return list;
}

std::string ReadBaggage(std::string_view header) {
  std::string baggage(WithoutSpaces(header));
  std::ranges::replace(baggage, '\t', ' ');  // Both are optional white space.
  if (!std::ranges::all_of(baggage, IsPrintable)) return {};
  if (baggage.size() > RemoteParent::kBaggageBytes) {
    // No member has a comma in it.
    const std::size_t comma = baggage.rfind(',', RemoteParent::kBaggageBytes);
    baggage.resize(comma == std::string::npos ? 0 : comma);
    baggage.resize(WithoutSpaces(baggage).size());
  }
  return baggage;
}

std::string Upper(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
  return upper;
}

}  // namespace

RemoteParent::RemoteParent(std::string_view traceparent, std::string_view tracestate,
                           std::string_view baggage)
    : baggage_(ReadBaggage(baggage)) {
  if (const auto context = SpanContext::FromTraceparent(WithoutSpaces(traceparent))) {
    context_ = *context;
    tracestate_ = ReadTracestate(tracestate);
  }
}

RemoteParent RemoteParent::FromEnvironment() {
  return FromHeaders(
      [](std::string_view name) -> const char* { return std::getenv(Upper(name).c_str()); });
}

std::vector<std::string> RemoteParent::ToEnvironment(const SpanContext& span) const {
  std::vector<std::string> ours;
  std::vector<std::string> replaced;
  ToHeaders(
      [&](std::string_view name, std::string_view value) {
        const std::string prefix = Upper(name) + '=';
        ours.push_back(prefix + std::string(value));
        replaced.push_back(prefix);
        // The one inherited belongs to the TRACEPARENT that goes.
        if (name == "traceparent") replaced.emplace_back("TRACESTATE=");
      },
      span);
  std::vector<std::string> environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view inherited(*entry);
    if (std::ranges::none_of(
            replaced, [&](const std::string& name) { return inherited.starts_with(name); })) {
      environment.emplace_back(inherited);
    }
  }
  environment.insert(environment.end(), ours.begin(), ours.end());
  return environment;
}

}  // namespace spanring
