// A span as a file has it, before it becomes a row; and who takes it.
// Threads: one.
// Memory: owns its texts.
// Errors: a reader tells its sink what it refuses, and why.
// Design: docs/operations.md#import
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "spanring/id.h"

namespace spanring::importer {  // `import` is a word of the language.

enum class Format { kJaeger, kOtlp, kZipkin, kCsv };

// "jaeger", "otlp", "zipkin", "csv": what --format takes. Part of the writer id: never rename.
std::string_view NameOf(Format format);
std::optional<Format> FormatNamed(std::string_view name);

// Of a byte in the uncompressed content, from 1. `column` counts bytes.
struct Position {
  std::uint64_t line = 1;
  std::uint64_t column = 1;
};

// What a span and the resource that it belongs to may both say.
struct ExecutionContext {
  std::optional<std::int64_t> execution_id;
  std::string job_id;
  std::string model_id;
  std::string region;

  void FillFrom(const ExecutionContext& other);
};

inline constexpr std::string_view kUnknownService = "unknown_service";

struct Span {
  TraceId trace_id;
  TraceId span_id;
  TraceId parent_id;  // Nil: none.
  std::int64_t start_ns = 0;
  std::optional<std::int64_t> duration_ns;  // None: no end was seen.
  ExecutionContext context;
  std::string service;
  std::string operation;
  std::string_view status = "completed";
  std::string error_type;
  std::string error_message;
  std::string metadata;   // The text of a JSON object, or "".
  bool is_whole = false;  // Its metadata have all of it: nothing is added from around it.
};

// Adds a member to the text of a JSON object; `value` is JSON.
void AddMember(std::string* object, std::string_view key, std::string_view value);

class Sink {
 public:
  virtual ~Sink() = default;
  // False: read no further.
  [[nodiscard]] virtual bool Take(const Span& span) = 0;
  // So many have been read and cannot be told yet. False: read no further.
  [[nodiscard]] virtual bool MayWait(std::size_t) { return true; }
  // Something that should have been a span is left out.
  virtual void Refuse(Position position, std::string reason) = 0;
  // Nothing can be read behind here.
  virtual void Fail(Position position, std::string reason) = 0;
};

}  // namespace spanring::importer
