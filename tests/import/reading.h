// Reads text as a file of spans, and keeps what came of it.
// Threads: one. Memory: owns it all. Errors: kept, for the tests to look at.
// Design: docs/operations.md#import
#pragma once

#include <zlib.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "import/readers.h"

namespace spanring::importer {

class Reading : public Sink {
 public:
  // `most`: it wants no more than so many spans.
  Reading(Format format, std::string_view text, std::size_t most = SIZE_MAX) : most_(most) {
    const auto input = Input::OfMemory(text);
    Read(format, input.get(), this);
  }

  std::vector<Span> spans;
  std::vector<std::string> refused;  // "2:1: no span id"
  std::vector<std::string> failed;

  nlohmann::json Metadata(std::size_t i) const {
    return spans.at(i).metadata.empty() ? nlohmann::json()
                                        : nlohmann::json::parse(spans.at(i).metadata);
  }

 private:
  bool Take(const Span& span) override {
    spans.push_back(span);
    return spans.size() < most_;
  }
  static std::string Said(Position position, const std::string& reason) {
    return absl::StrCat(position.line, ":", position.column, ": ", reason);
  }
  void Refuse(Position position, std::string reason) override {
    refused.push_back(Said(position, reason));
  }
  void Fail(Position position, std::string reason) override {
    failed.push_back(Said(position, reason));
  }

  const std::size_t most_;
};

inline std::string Gzipped(std::string_view text) {
  z_stream stream = {};
  constexpr int kGzip = 16 + MAX_WBITS;
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, static_cast<uLong>(text.size())) + 32, '\0');
  std::string in(text);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace spanring::importer
