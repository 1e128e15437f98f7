// A typed attribute of a span: a key and a string, int64, double or bool.
// Threads: values; any thread.
// Memory: refers to the caller's text; nothing is copied until a span takes the attribute.
// Errors: none; what a span does with odd values is said in span.h.
// Design: docs/architecture.md
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <string_view>

#include "spanring/config.h"

namespace spanring {

class AttributeValue {
 public:
  enum class Type : std::uint8_t { kString, kInt64, kDouble, kBool };

  constexpr AttributeValue(std::string_view text) : type_(Type::kString), text_(text) {}
  constexpr AttributeValue(const char* text)
      : type_(Type::kString), text_(text == nullptr ? std::string_view() : text) {}
  template <typename Text>
    requires(std::convertible_to<const Text&, std::string_view> &&
             !std::convertible_to<const Text&, const char*>)
  constexpr AttributeValue(const Text& text) : type_(Type::kString), text_(text) {}
  constexpr AttributeValue(std::same_as<bool> auto value) : type_(Type::kBool), integer_(value) {}
  // An unsigned value above INT64_MAX becomes INT64_MAX.
  template <std::integral Integer>
    requires(!std::same_as<Integer, bool>)
  constexpr AttributeValue(Integer value) : type_(Type::kInt64), integer_(Clamp(value)) {}
  constexpr AttributeValue(std::floating_point auto value)
      : type_(Type::kDouble), number_(static_cast<double>(value)) {}

  constexpr Type type() const { return type_; }
  constexpr std::string_view text() const { return text_; }
  constexpr std::int64_t integer() const { return integer_; }
  constexpr double number() const { return number_; }

 private:
  template <std::integral Integer>
  static constexpr std::int64_t Clamp(Integer value) {
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    if constexpr (std::unsigned_integral<Integer> && sizeof(Integer) >= sizeof(kMax)) {
      if (value > static_cast<Integer>(kMax)) return kMax;
    }
    return static_cast<std::int64_t>(value);
  }

  Type type_;
  std::string_view text_;
  union {
    std::int64_t integer_ = 0;
    double number_;
  };
};

struct Attribute {
  std::string_view key;
  AttributeValue value;
};

}  // namespace spanring
