#include "mcp/text.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/utf8.h"

namespace spanring::mcp {
namespace {

using Json = nlohmann::json;

std::uint32_t CodePoint(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0);
  std::uint32_t code = byte(0) & (0xFFU >> (character.size() + 1));
  for (std::size_t i = 1; i < character.size(); ++i) code = code << 6 | (byte(i) & 0x3FU);
  return code;
}

// What a person would not see, or would see somewhere else, and a model reads all the same.
bool IsHidden(std::uint32_t code) {
  const auto within = [code](std::uint32_t first, std::uint32_t last) {
    return code >= first && code <= last;
  };
  const bool is_control =
      code < 0x20 || within(0x7F, 0x9F) || within(0x2028, 0x2029) || within(0xFFF9, 0xFFFB);
  // Default_Ignorable_Code_Point:
  // https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt Variation selectors
  // among them: any bytes can be written in them behind one visible character.
  return is_control || code == 0xAD || code == 0x034F || code == 0x061C || within(0x115F, 0x1160) ||
         within(0x17B4, 0x17B5) || within(0x180B, 0x180F) || within(0x200B, 0x200F) ||
         within(0x202A, 0x202E) || within(0x2060, 0x206F) || code == 0x3164 ||
         within(0xFE00, 0xFE0F) || code == 0xFEFF || code == 0xFFA0 || within(0xFFF0, 0xFFF8) ||
         within(0x1BCA0, 0x1BCA3) || within(0x1D173, 0x1D17A) || within(0xE0000, 0xE0FFF);
}

void AppendEscaped(std::uint32_t code, std::string* out) {
  if (code == '\n') {
    out->append("\\n");
  } else if (code == '\t') {
    out->append("\\t");
  } else if (code == '\r') {
    out->append("\\r");
  } else {
    absl::StrAppend(out, "\\u{", absl::Hex(code), "}");
  }
}

bool IsPlainName(std::string_view text) {
  if (text.empty() || text.size() > 100) return false;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') ||
                          std::string_view("_.:/-+@").find(c) != std::string_view::npos;
    if (!is_plain) return false;
  }
  return true;
}

}  // namespace

std::string Cleaned(std::string_view text, std::size_t limit) {
  std::string cleaned;
  const std::size_t all = text.size();
  while (!text.empty()) {
    const std::size_t length = base::CharacterLength(text);
    const std::string_view character = text.substr(0, length == 0 ? 1 : length);
    text.remove_prefix(character.size());
    std::string next(character);
    if (length == 0 && character[0] != '\0') {
      next.assign("\xEF\xBF\xBD");
    } else if (const std::uint32_t code = CodePoint(character); IsHidden(code)) {
      next.clear();
      AppendEscaped(code, &next);
    }
    if (cleaned.size() + next.size() > limit) {
      return absl::StrCat(cleaned, "… (", all, " bytes)");
    }
    cleaned += next;
  }
  return cleaned;
}

Json CleanedJson(const Json& json) {
  if (json.is_string()) return Cleaned(json.get_ref<const std::string&>());
  if (json.is_array()) {
    Json cleaned = Json::array();
    for (const Json& element : json) cleaned.push_back(CleanedJson(element));
    return cleaned;
  }
  if (json.is_object()) {
    Json cleaned = Json::object();
    for (const auto& [key, value] : json.items()) cleaned[Cleaned(key)] = CleanedJson(value);
    return cleaned;
  }
  return json;
}

std::string Quoted(std::string_view text, std::size_t limit) {
  return Json(Cleaned(text, limit)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string Name(const Json& text) {
  if (!text.is_string()) return "?";
  const auto& name = text.get_ref<const std::string&>();
  return IsPlainName(name) ? name : Quoted(name, 100);
}

std::string SpanId(const Json& uuid) {
  if (!uuid.is_string()) return "?";
  const auto& text = uuid.get_ref<const std::string&>();
  constexpr std::string_view kZeros = "00000000-0000-0000-";
  if (!std::string_view(text).starts_with(kZeros) || text.size() != 36) return text;
  return absl::StrCat(text.substr(19, 4), text.substr(24));
}

std::string Milliseconds(const Json& ms) {
  if (!ms.is_number()) return "?";
  const double value = ms.get<double>();
  if (std::abs(value) >= 1000) return absl::StrFormat("%.1f s", value / 1000);
  if (std::abs(value) >= 10 || value == 0) return absl::StrFormat("%.0f ms", value);
  return absl::StrFormat("%.3g ms", value);
}

std::string Nanoseconds(const Json& ns) {
  return ns.is_number() ? Milliseconds(ns.get<double>() / 1e6) : "?";
}

std::string Count(const Json& number) {
  if (!number.is_number()) return "?";
  const std::string digits = absl::StrCat(number.get<std::int64_t>());
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && digits[i - 1] != '-' && (digits.size() - i) % 3 == 0) grouped.push_back(',');
    grouped.push_back(digits[i]);
  }
  return grouped;
}

std::string Shown(std::size_t shown, const Json& total, std::string_view of) {
  return absl::StrCat(Count(shown), " of ", Count(total), " ", std::string(of), " shown");
}

}  // namespace spanring::mcp
