#include "cli/render/style.h"

#include <unistd.h>

#include <cstdlib>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace spanring::cli {
namespace {

std::string Wrapped(std::string_view text, std::string_view code) {
  std::string painted = "\033[";
  painted += code;
  painted += 'm';
  painted += text;
  painted += "\033[0m";
  return painted;
}

}  // namespace

Style Style::FromMode(std::string_view mode, int fd) {
  if (mode == "always") return Style(true);
  if (mode == "never") return Style(false);
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && no_color[0] != '\0') return Style(false);
  const char* term = std::getenv("TERM");
  return Style(isatty(fd) == 1 && term != nullptr && std::string_view(term) != "dumb");
}

std::string Style::Paint(std::string_view text, Tone tone) const {
  if (!colored_ || tone == Tone::kPlain || text.empty()) return std::string(text);
  switch (tone) {
    case Tone::kBold:
      return Wrapped(text, "1");
    case Tone::kDim:
      return Wrapped(text, "2");
    case Tone::kGood:
      return Wrapped(text, "38;5;36");
    case Tone::kWarning:
      return Wrapped(text, "1;38;5;214");
    case Tone::kBad:
      return Wrapped(text, "1;38;5;203");
    case Tone::kPlain:
      break;
  }
  return std::string(text);
}

std::string Style::PaintService(std::string_view text, std::size_t n) const {
  if (!colored_ || text.empty()) return std::string(text);
  // Sky blue, orange, bluish green, reddish purple, yellow, blue: nearest of the 256 colours.
  constexpr int kPalette[] = {74, 214, 36, 175, 227, 32};
  return Wrapped(text, absl::StrCat("38;5;", kPalette[n % std::size(kPalette)]));
}

Tone Style::OfStatus(std::string_view status) {
  if (status == "completed") return Tone::kGood;
  if (status == "failed") return Tone::kBad;
  return Tone::kWarning;  // timeout, started, and what a newer writer may call it
}

}  // namespace spanring::cli
