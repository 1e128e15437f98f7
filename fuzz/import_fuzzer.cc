// Any bytes as a file of spans, in each format: no crash, and every span gives a row that is whole
// and whose texts PostgreSQL takes. The first byte chooses the format, or detection.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "flush/row_encoder.h"
#include "import/loader.h"
#include "import/readers.h"

namespace {

namespace importer = spanring::importer;

void Require(bool condition) {
  if (!condition) std::abort();
}

class CheckingSink : public importer::Sink {
 public:
  bool Take(const importer::Span& span) override {
    Require(!span.trace_id.is_nil() && !span.span_id.is_nil());
    Require(!span.duration_ns || *span.duration_ns >= 0);
    Require(span.metadata.find("\\u0000") == std::string::npos || AllEscaped(span.metadata));
    if (!span.metadata.empty()) Require(nlohmann::json::parse(span.metadata).is_object());
    row_.clear();
    importer::AppendRow(span, row_);
    Require(spanring::flush::RowLength({reinterpret_cast<const char*>(row_.data()), row_.size()}) ==
            row_.size());
    return true;
  }
  void Refuse(importer::Position position, std::string reason) override {
    Require(position.line > 0 && position.column > 0 && !reason.empty());
  }
  void Fail(importer::Position position, std::string reason) override {
    Require(position.line > 0 && position.column > 0 && !reason.empty());
  }

 private:
  // Each is a backslash and "u0000", as in C:\u0000, and not the NUL that jsonb refuses.
  static bool AllEscaped(std::string_view json) {
    for (std::size_t i = 0; i + 1 < json.size(); ++i) {
      if (json[i] != '\\') continue;
      if (json.substr(i).starts_with("\\u0000")) return false;
      ++i;
    }
    return true;
  }

  std::vector<std::uint8_t> row_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto input = importer::Input::OfMemory(text);
  CheckingSink sink;
  // '0' to '3' and, for a corpus that can be read, everything else: by the content.
  if (*data >= '0' && *data < '4') {
    importer::Read(static_cast<importer::Format>(*data - '0'), input.get(), &sink);
    return 0;
  }
  const auto format = importer::Detect(input.get());
  if (format.ok() && input->Rewind().ok()) importer::Read(*format, input.get(), &sink);
  return 0;
}
