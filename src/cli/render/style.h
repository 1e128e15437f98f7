// Colours and weights of a terminal, or none of them in a pipe.
// Threads: immutable after construction.
// Memory: plain values.
// Errors: none.
// Design: docs/architecture.md
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace spanring::cli {

enum class Tone { kPlain, kBold, kDim, kGood, kWarning, kBad };

class Style {
 public:
  explicit Style(bool colored = false) : colored_(colored) {}

  // `mode` is auto, always or never. auto: a terminal that is not TERM=dumb, and NO_COLOR unset
  // or empty (https://no-color.org).
  [[nodiscard]] static Style FromMode(std::string_view mode, int fd);

  [[nodiscard]] bool colored() const { return colored_; }

  // `text` must have been through Escape already.
  [[nodiscard]] std::string Paint(std::string_view text, Tone tone) const;

  // The n-th service's colour, from Okabe and Ito's palette: told apart with any colour vision.
  [[nodiscard]] std::string PaintService(std::string_view text, std::size_t n) const;

  // The tone of a span's status; the word itself is always shown beside it.
  [[nodiscard]] static Tone OfStatus(std::string_view status);

 private:
  bool colored_;
};

}  // namespace spanring::cli
