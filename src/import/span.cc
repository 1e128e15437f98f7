#include "import/span.h"

#include <array>

#include "absl/strings/str_cat.h"

namespace spanring::importer {
namespace {

constexpr std::array<std::string_view, 4> kFormatNames = {"jaeger", "otlp", "zipkin", "csv"};

}  // namespace

std::string_view NameOf(Format format) { return kFormatNames[static_cast<std::size_t>(format)]; }

std::optional<Format> FormatNamed(std::string_view name) {
  for (std::size_t i = 0; i < kFormatNames.size(); ++i) {
    if (kFormatNames[i] == name) return static_cast<Format>(i);
  }
  return std::nullopt;
}

void ExecutionContext::FillFrom(const ExecutionContext& other) {
  if (!execution_id) execution_id = other.execution_id;
  if (job_id.empty()) job_id = other.job_id;
  if (model_id.empty()) model_id = other.model_id;
  if (region.empty()) region = other.region;
}

void AddMember(std::string* object, std::string_view key, std::string_view value) {
  if (object->empty()) *object = "{}";
  object->pop_back();
  absl::StrAppend(object, object->size() > 1 ? ",\"" : "\"", std::string(key),
                  "\":", std::string(value), "}");
}

}  // namespace spanring::importer
