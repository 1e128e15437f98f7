// Walks through JSON of any length: what a reader asks for whole is given to it as a value, all
// else passes by. One document, or any number of them with nothing but space between.
// Threads: one.
// Memory: one whole value, of at most kMostBytes of text and kMostNodes.
// Errors: told to the sink with their position; a value that is too deep, too long or has too many
//   parts is refused alone, a syntax error ends the file.
// Design: docs/operations.md#import
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "import/input.h"
#include "import/span.h"

namespace spanring::importer {

using Json = nlohmann::json;

class JsonWalker {
 public:
  static constexpr std::size_t kMostDepth = 128;
  static constexpr std::uint64_t kMostBytes = 16 * 1024 * 1024;
  static constexpr std::uint64_t kMostNodes = 1'000'000;

  explicit JsonWalker(Sink* sink) : sink_(*sink) {}
  virtual ~JsonWalker() = default;
  JsonWalker(const JsonWalker&) = delete;
  JsonWalker& operator=(const JsonWalker&) = delete;

  // To the end, or until the sink wants no more.
  void Walk(Input* input);

 protected:
  // What an object or array is to the reader; its own begin behind these.
  static constexpr int kIgnored = 0;
  static constexpr int kDocument = 1;  // What is outside of everything.
  struct Decision {
    int role = kIgnored;
    bool whole = false;
  };

  // An object or array begins, in one of role `parent` that was entered: `key` is its name there,
  // "" in an array.
  virtual Decision Enter(int parent, std::string_view key, bool is_array) = 0;
  // A whole value. False, here and below: stop.
  virtual bool OnValue(int role, Json&& value, Position position) = 0;
  // An object or array that was entered ends.
  virtual bool OnLeave(int role) = 0;
  // A string, number, boolean or null in one that was entered.
  virtual bool OnScalar(int parent, std::string_view key, Json&& value, Position position) = 0;
  // Members of whole values that are left out.
  virtual bool LeavesOut(std::string_view) const { return false; }

  Sink& sink() { return sink_; }

 private:
  class Events;
  Sink& sink_;
};

}  // namespace spanring::importer
