// Which format a file has, by its first telling name.
#include <cctype>
#include <cstdio>
#include <istream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "import/readers.h"

namespace spanring::importer {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMostTokenBytes = 32 * 1024 * 1024;
constexpr int kMostDepth = 4;  // A span's own names stand no deeper, in any format.

// nlohmann's SAX interface: looks at names until one tells.
class Names {
 public:
  explicit Names(Input* input) : input_(*input) {}

  std::optional<Format> format() const { return format_; }

  bool null() { return Alive(); }
  bool boolean(bool) { return Alive(); }
  bool number_integer(Json::number_integer_t) { return Alive(); }
  bool number_unsigned(Json::number_unsigned_t) { return Alive(); }
  bool number_float(Json::number_float_t, const Json::string_t&) { return Alive(); }
  bool string(Json::string_t&) { return Alive(); }
  bool binary(Json::binary_t&) { return false; }
  bool start_object(std::size_t) {
    ++depth_;
    return Alive();
  }
  bool start_array(std::size_t) {
    if (depth_ == 0) is_array_ = true;
    ++depth_;
    return Alive();
  }
  bool end_object() {
    --depth_;
    return Alive();
  }
  bool end_array() {
    // An empty list of spans.
    if (--depth_ == 0 && is_array_ && !has_names_) format_ = Format::kZipkin;
    return Alive();
  }
  bool key(Json::string_t& name) {
    has_names_ = true;
    if (depth_ <= kMostDepth) {
      if (name == "resourceSpans" || name == "batches" || name == "resource_spans") {
        format_ = Format::kOtlp;
      } else if (name == "data" || name == "spans" || name == "processes" || name == "traceID") {
        format_ = Format::kJaeger;
      } else if (name == "traceId" || name == "localEndpoint" || name == "parentId") {
        format_ = Format::kZipkin;
      }
    }
    return Alive() && !format_;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) {
    return false;
  }

 private:
  bool Alive() {
    input_.AllowBytes(kMostTokenBytes);
    return true;
  }

  Input& input_;
  int depth_ = 0;
  bool is_array_ = false;
  bool has_names_ = false;
  std::optional<Format> format_;
};

bool HasCsvHeader(Input* input) {
  constexpr std::size_t kMostHeaderBytes = 64 * 1024;
  std::string line;
  for (int c = input->sbumpc(); c != EOF && c != '\n' && line.size() < kMostHeaderBytes;
       c = input->sbumpc()) {
    if (c != '_' && c != ' ' && c != '-') line.push_back(static_cast<char>(c));
  }
  return absl::StrContains(absl::AsciiStrToLower(line), "traceid") && absl::StrContains(line, ',');
}

}  // namespace

absl::StatusOr<Format> Detect(Input* input) {
  if (absl::Status status = input->Rewind(); !status.ok()) return status;
  input->AllowBytes(kMostTokenBytes);
  int next = input->sgetc();
  while (next != EOF && (std::isspace(next) != 0 || next > 0x7f)) next = input->snextc();
  if (next == EOF && input->fault().ok()) return absl::InvalidArgumentError("it is empty");
  std::optional<Format> format;
  if (next == '{' || next == '[') {
    std::istream stream(input);
    Names names(input);
    Json::sax_parse(stream, &names, Json::input_format_t::json, /*strict=*/false);
    format = names.format();
  } else if (HasCsvHeader(input)) {
    format = Format::kCsv;
  }
  if (!input->fault().ok()) return input->fault();
  if (format) return *format;
  return absl::InvalidArgumentError(
      "it is none of Jaeger, OTLP or Zipkin JSON, or CSV with a header, as far as can be seen: "
      "--format names one");
}

void Read(Format format, Input* input, Sink* sink) {
  switch (format) {
    case Format::kJaeger:
      return ReadJaeger(input, sink);
    case Format::kOtlp:
      return ReadOtlp(input, sink);
    case Format::kZipkin:
      return ReadZipkin(input, sink);
    case Format::kCsv:
      return ReadCsv(input, sink);
  }
}

}  // namespace spanring::importer
