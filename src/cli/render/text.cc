#include "cli/render/text.h"

#include <locale.h>
#include <wchar.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace spanring::cli {
namespace {

struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

// One character at the front, by RFC 3629: no overlong forms, no surrogates, at most U+10FFFF.
Character Decode(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {};
  char32_t code = lead & (0xFF >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = (code << 6) | (byte(i) & 0x3F);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {code, length, true};
}

// wcwidth knows the widths of Unicode only under a UTF-8 locale; the program's own may be any.
class Utf8Locale {
 public:
  Utf8Locale() : previous_(uselocale(Shared())) {}
  ~Utf8Locale() { uselocale(previous_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  static locale_t Shared() {
    static const locale_t shared = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return shared;  // 0 leaves the locale as it is
  }
  locale_t previous_;
};

// -1 for what must not be printed.
int Columns(char32_t code) {
  if (code < 0x7F) return code >= 0x20 ? 1 : -1;
  if (code < 0xA0) return -1;
  const bool invisible = (code >= 0x200B && code <= 0x200F) || (code >= 0x2028 && code <= 0x202E) ||
                         (code >= 0x2060 && code <= 0x206F) || code == 0xAD || code == 0x61C ||
                         code == 0xFEFF || (code >= 0xFFF0 && code <= 0xFFFB) ||
                         (code >= 0xE0000 && code <= 0xE0FFF);
  if (invisible) return -1;
  return wcwidth(static_cast<wchar_t>(code));
}

std::string CodeEscape(char32_t code) {
  char buffer[16];
  if (code == '\n') return "\\n";
  if (code == '\t') return "\\t";
  if (code == '\r') return "\\r";
  std::snprintf(buffer, sizeof(buffer), code < 0x80 ? "\\x%02x" : "\\u%04x",
                static_cast<unsigned>(code));
  return buffer;
}

}  // namespace

std::string Escape(std::string_view text) {
  const Utf8Locale locale;
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const Character character = Decode(text);
    if (!character.valid) {
      char buffer[8];
      std::snprintf(buffer, sizeof(buffer), "\\x%02x", static_cast<unsigned char>(text[0]));
      escaped += buffer;
    } else if (Columns(character.code) < 0) {
      escaped += CodeEscape(character.code);
    } else {
      escaped += text.substr(0, character.bytes);
    }
    text.remove_prefix(character.bytes);
  }
  return escaped;
}

std::string EscapeJson(std::string_view json) {
  const Utf8Locale locale;
  std::string escaped;
  escaped.reserve(json.size());
  while (!json.empty()) {
    const Character character = Decode(json);
    // Below U+0080 PostgreSQL has escaped what JSON asks for; DEL it leaves.
    const bool harmful = character.valid && character.code >= 0x7F && Columns(character.code) < 0;
    if (!harmful) {
      escaped += json.substr(0, character.bytes);
    } else {
      char buffer[16];
      const unsigned code = character.code;
      if (code < 0x10000) {
        std::snprintf(buffer, sizeof(buffer), "\\u%04x", code);
      } else {
        std::snprintf(buffer, sizeof(buffer), "\\u%04x\\u%04x", 0xD7C0 + (code >> 10),
                      0xDC00 + (code & 0x3FF));
      }
      escaped += buffer;
    }
    json.remove_prefix(character.bytes);
  }
  return escaped;
}

std::string Label(std::string_view service, std::string_view operation) {
  std::string label = std::string(service) + '.';
  if (operation.starts_with(label)) return std::string(operation);
  return label.append(operation);
}

std::size_t DisplayWidth(std::string_view text) {
  const Utf8Locale locale;
  std::size_t width = 0;
  while (!text.empty()) {
    const Character character = Decode(text);
    width += character.valid ? static_cast<std::size_t>(std::max(0, Columns(character.code))) : 1;
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string Truncate(std::string_view text, std::size_t columns) {
  if (DisplayWidth(text) <= columns) return std::string(text);
  if (columns == 0) return "";
  const Utf8Locale locale;
  std::size_t width = 0;
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const Character character = Decode(text.substr(bytes));
    const std::size_t more =
        character.valid ? static_cast<std::size_t>(std::max(0, Columns(character.code))) : 1;
    if (width + more > columns - 1) break;
    width += more;
    bytes += character.bytes;
  }
  return std::string(text.substr(0, bytes)) + "…";
}

std::string PadRight(std::string_view text, std::size_t columns) {
  std::string cut = Truncate(text, columns);
  cut.append(columns - std::min(columns, DisplayWidth(cut)), ' ');
  return cut;
}

std::string PadLeft(std::string_view text, std::size_t columns) {
  const std::string cut = Truncate(text, columns);
  return std::string(columns - std::min(columns, DisplayWidth(cut)), ' ') + cut;
}

std::vector<std::string> Wrap(std::string_view text, std::size_t columns) {
  columns = std::max<std::size_t>(columns, 2);
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    std::string_view word = text.substr(0, space);
    text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
    if (word.empty()) continue;
    if (!lines.back().empty()) {
      if (DisplayWidth(lines.back()) + 1 + DisplayWidth(word) <= columns) {
        lines.back() += ' ';
      } else {
        lines.emplace_back();
      }
    }
    while (DisplayWidth(word) > columns) {
      std::string piece = Truncate(word, columns);
      piece.resize(piece.size() - std::string_view("…").size());
      lines.back() += piece;
      word.remove_prefix(piece.size());
      lines.emplace_back();
    }
    lines.back() += word;
  }
  return lines;
}

}  // namespace spanring::cli
