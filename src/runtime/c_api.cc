// spanring/c.h, over the calls that the C++ API ends in.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ring/items.h"
#include "runtime/settings.h"
#include "spanring/c.h"
#include "spanring/internal/runtime_api.h"

namespace {

namespace internal = spanring::internal;
using internal::OpenSpan;
using spanring::SpanContext;
using spanring::SpanId;
using spanring::TraceId;

std::string_view Text(const char* text, std::size_t size) noexcept {
  if (text == nullptr) return {};
  return {text, size == SPANRING_NUL ? std::strlen(text) : size};
}

OpenSpan* Open(spanring_span* span) noexcept { return reinterpret_cast<OpenSpan*>(span); }
const OpenSpan* Open(const spanring_span* span) noexcept {
  return reinterpret_cast<const OpenSpan*>(span);
}
spanring_span* Handle(OpenSpan* span) noexcept { return reinterpret_cast<spanring_span*>(span); }

// Takes the handle from whoever ends the span.
OpenSpan* Release(spanring_span** span) noexcept {
  return span == nullptr ? nullptr : Open(std::exchange(*span, nullptr));
}

SpanContext FromC(const spanring_context* context) noexcept {
  if (context == nullptr) return {};
  return {.trace_id = TraceId(context->trace_id_high, context->trace_id_low),
          .span_id = SpanId(context->span_id),
          .sampled = context->is_sampled != 0};
}

void ToC(const SpanContext& context, spanring_context* to) noexcept {
  if (to == nullptr) return;
  *to = {};
  // A trace without a span is a parent too: that of a root in it.
  if (context.trace_id.is_nil()) return;
  *to = {.trace_id_high = context.trace_id.high(),
         .trace_id_low = context.trace_id.low(),
         .span_id = context.span_id.value(),
         .is_sampled = context.sampled ? 1U : 0U,
         .reserved = 0};
}

spanring_code Code(const absl::Status& status) noexcept {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return SPANRING_OK;
    case absl::StatusCode::kFailedPrecondition:
      return SPANRING_OFF;
    case absl::StatusCode::kAlreadyExists:
      return SPANRING_RUNNING;
    case absl::StatusCode::kUnavailable:
      return SPANRING_BUSY;
    case absl::StatusCode::kDeadlineExceeded:
      return SPANRING_TIMEOUT;
    case absl::StatusCode::kDataLoss:
      return SPANRING_LOSS;
    case absl::StatusCode::kResourceExhausted:
      return SPANRING_NO_MEMORY;
    default:
      return SPANRING_INVALID;
  }
}

// The options that "NAME=value" settings ask for; nullopt where one of them is no setting.
std::optional<spanring::Options> ReadSettings(const char* const* settings, std::size_t count) {
  std::map<std::string, std::string, std::less<>> given;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view setting = Text(settings[i], SPANRING_NUL);
    const std::size_t equals = setting.find('=');
    const std::string_view name = setting.substr(0, equals);
    if (equals == std::string_view::npos || !spanring::runtime::IsSetting(name)) return {};
    given.insert_or_assign(std::string(name), std::string(setting.substr(equals + 1)));
  }
  given.emplace("ENABLE_DB_TRACING", "true");
  return spanring::runtime::ReadOptions([&given](const char* name) {
    const auto found = given.find(std::string_view(name));
    return found != given.end() ? found->second : spanring::runtime::FromEnvironment(name);
  });
}

// A call that may allocate, with what C cannot catch as a code.
template <typename F>
spanring_code Guarded(F&& call) noexcept {
  try {
    return call();
  } catch (...) {
    return SPANRING_NO_MEMORY;
  }
}

}  // namespace

int spanring_c_version() { return SPANRING_C_VERSION; }

const char* spanring_code_text(int code) {
  switch (code) {
    case SPANRING_OK:
      return "ok";
    case SPANRING_INVALID:
      return "invalid: an argument is not of its form";
    case SPANRING_OFF:
      return "off: tracing is off";
    case SPANRING_RUNNING:
      return "running: the tracer was started already";
    case SPANRING_BUSY:
      return "busy: a shutdown is under way";
    case SPANRING_TIMEOUT:
      return "timeout: spans are still on their way";
    case SPANRING_LOSS:
      return "loss: spans were dropped";
    case SPANRING_NO_MEMORY:
      return "no memory: the system gives no memory or thread";
  }
  return "unknown code";
}

int spanring_enabled() { return internal::DecideFromEnvironment() ? 1 : 0; }

spanring_code spanring_start(const char* const* settings, size_t count) {
  return Guarded([&] {
    if (settings == nullptr && count != 0) return SPANRING_INVALID;
    const std::optional<spanring::Options> options = ReadSettings(settings, count);
    return options ? Code(internal::Start(*options)) : SPANRING_INVALID;
  });
}

spanring_code spanring_set_enabled(int enabled) {
  return Guarded([&] { return Code(internal::SetEnabled(enabled != 0)); });
}

spanring_code spanring_flush(int64_t timeout_ms) {
  return Guarded([&] { return Code(internal::Flush(absl::Milliseconds(timeout_ms))); });
}

spanring_code spanring_flush_to_disk(int64_t timeout_ms) {
  return Guarded([&] { return Code(internal::FlushToDisk(absl::Milliseconds(timeout_ms))); });
}

spanring_code spanring_shutdown(int64_t timeout_ms) {
  return Guarded([&] { return Code(internal::Shutdown(absl::Milliseconds(timeout_ms))); });
}

void spanring_get_stats(spanring_stats* stats) {
  if (stats == nullptr) return;
  const spanring::Stats now = internal::GetStats();
  spanring_stats filled = {.size = stats->size,
                           .started = now.started,
                           .persisted = now.persisted,
                           .journalled = now.journalled,
                           .open = now.open,
                           .dropped = now.dropped,
                           .misuses = now.misuses,
                           .dropped_attributes = now.dropped_attributes,
                           .persist_failures = now.persist_failures,
                           .sampled_out = now.sampled_out};
  std::memcpy(stats, &filled, std::min(stats->size, sizeof(filled)));
}

spanring_span* spanring_span_start(const char* service, size_t service_size, const char* operation,
                                   size_t operation_size) {
  if (internal::IsOff()) return nullptr;
  return Handle(
      internal::StartChildOfCurrent(Text(service, service_size), Text(operation, operation_size)));
}

spanring_span* spanring_span_start_child(const spanring_context* parent, const char* service,
                                         size_t service_size, const char* operation,
                                         size_t operation_size) {
  if (internal::IsOff()) return nullptr;
  const SpanContext context = FromC(parent);
  return Handle(internal::StartSpan(context.trace_id, context.span_id, Text(service, service_size),
                                    Text(operation, operation_size),
                                    internal::SamplingOf(context)));
}

void spanring_span_set_text(spanring_span* span, const char* key, size_t key_size, const char* text,
                            size_t text_size) {
  if (span != nullptr)
    internal::SetAttribute(Open(span), Text(key, key_size), Text(text, text_size));
}

void spanring_span_set_int(spanring_span* span, const char* key, size_t key_size, int64_t number) {
  if (span != nullptr) {
    internal::SetAttribute(Open(span), Text(key, key_size), static_cast<std::int64_t>(number));
  }
}

void spanring_span_set_double(spanring_span* span, const char* key, size_t key_size,
                              double number) {
  if (span != nullptr) internal::SetAttribute(Open(span), Text(key, key_size), number);
}

void spanring_span_set_bool(spanring_span* span, const char* key, size_t key_size, int truth) {
  if (span != nullptr) internal::SetAttribute(Open(span), Text(key, key_size), truth != 0);
}

void spanring_span_set_execution_context(spanring_span* span, const char* job_id,
                                         size_t job_id_size, const int64_t* execution_id,
                                         const char* model_id, size_t model_id_size,
                                         const char* region, size_t region_size) {
  if (span == nullptr) return;
  const std::string_view job = Text(job_id, job_id_size);
  const std::string_view model = Text(model_id, model_id_size);
  const std::string_view where = Text(region, region_size);
  if (execution_id == nullptr) return spanring::ring::AppendContext(Open(span), job, model, where);
  internal::SetExecutionContext(Open(span), job, *execution_id, model, where);
}

void spanring_span_set_start_time(spanring_span* span, int64_t unix_ns) {
  if (span != nullptr) internal::SetStartTime(Open(span), absl::FromUnixNanos(unix_ns));
}

void spanring_span_set_end_time(spanring_span* span, int64_t unix_ns) {
  if (span != nullptr) internal::SetEndTime(Open(span), absl::FromUnixNanos(unix_ns));
}

void spanring_span_context(const spanring_span* span, spanring_context* context) {
  ToC(span == nullptr ? SpanContext() : internal::ContextOf(Open(span)), context);
}

void spanring_span_complete(spanring_span** span, const char* status, size_t status_size) {
  OpenSpan* const open = Release(span);
  if (open == nullptr) return;
  const std::string_view text = Text(status, status_size);
  if (text.empty()) return internal::EndSpanCompleted(open);
  internal::EndSpan(open, text);
}

void spanring_span_complete_with_error(spanring_span** span, const char* error, size_t error_size,
                                       const char* error_type, size_t error_type_size,
                                       const char* status, size_t status_size) {
  OpenSpan* const open = Release(span);
  if (open == nullptr) return;
  const std::string_view text = Text(status, status_size);
  spanring::ring::AppendError(open, Text(error, error_size), Text(error_type, error_type_size));
  internal::EndSpan(open, text.empty() ? "failed" : text);
}

void spanring_current_context(spanring_context* context) {
  ToC(internal::IsOff() ? SpanContext() : internal::CurrentContext(), context);
}

void spanring_exchange_context(const spanring_context* context, spanring_context* previous) {
  ToC(internal::ExchangeCurrentContext(FromC(context)), previous);
}

spanring_code spanring_read_traceparent(const char* header, size_t header_size,
                                        spanring_context* context) {
  const auto read = SpanContext::FromTraceparent(Text(header, header_size));
  ToC(read.value_or(SpanContext()), context);
  return read ? SPANRING_OK : SPANRING_INVALID;
}

spanring_code spanring_write_traceparent(const spanring_context* context,
                                         char header[SPANRING_TRACEPARENT_SIZE]) {
  return Guarded([&] {
    header[0] = '\0';
    const std::string text = FromC(context).ToTraceparent();
    if (text.empty()) return SPANRING_INVALID;
    std::memcpy(header, text.c_str(),
                std::min<std::size_t>(text.size() + 1, SPANRING_TRACEPARENT_SIZE));
    return SPANRING_OK;
  });
}
