// Tracing for C, and for whatever calls C: the same tracer as in tracer.h, with a stable ABI.
// Threads: every call from any thread; a span on one thread at a time, and it may end on another.
// Memory: a span belongs to the tracer; texts are copied before a call returns. Starting, filling
// and ending a span allocates nothing after a thread's first.
// Errors: calls on spans cannot fail; odd input is treated as span.h says. The others return a
// spanring_code.
// Design: docs/architecture.md#c
//
// A text is a pointer and its length in bytes, or SPANRING_NUL for one that ends with a NUL. A NULL
// pointer is an empty text.
//
// The ABI only grows: functions are added, structs grow at their end and say their size, and what
// there is keeps its meaning. SPANRING_C_VERSION counts additions; spanring_c_version() is that of
// the library that is loaded.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SPANRING_C_VERSION 2
#define SPANRING_NUL ((size_t)-1)

#ifdef __cplusplus
#define SPANRING_C_API extern "C" __attribute__((visibility("default")))
#else
#define SPANRING_C_API __attribute__((visibility("default")))
#endif

typedef enum spanring_code {
  SPANRING_OK = 0,
  SPANRING_INVALID = 1,   // An argument is not of its form.
  SPANRING_OFF = 2,       // Tracing is off, or was never started.
  SPANRING_RUNNING = 3,   // Started already: shut it down first.
  SPANRING_BUSY = 4,      // A shutdown is under way: try again.
  SPANRING_TIMEOUT = 5,   // Spans are still on their way: call again.
  SPANRING_LOSS = 6,      // Spans were dropped: see spanring_get_stats.
  SPANRING_NO_MEMORY = 7  // The system gives no memory or thread: tracing is off.
} spanring_code;

// A span, from its start to its end. NULL is one that records nothing.
typedef struct spanring_span spanring_span;

// What a child needs of its parent, here or in another process. All zero: none.
typedef struct spanring_context {
  uint64_t trace_id_high;  // The first eight bytes of the UUID, big-endian.
  uint64_t trace_id_low;
  uint64_t span_id;
  uint32_t is_sampled;  // Where there is a span_id; else the trace id decides.
  uint32_t reserved;    // 0
} spanring_context;

// What became of this process's spans: started = persisted + sampled_out + journalled + open +
// dropped.
typedef struct spanring_stats {
  size_t size;  // sizeof(spanring_stats), set by the caller.
  uint64_t started;
  uint64_t persisted;
  uint64_t journalled;
  uint64_t open;
  uint64_t dropped;
  uint64_t misuses;
  uint64_t dropped_attributes;
  uint64_t persist_failures;
  uint64_t sampled_out;  // Since version 2.
} spanring_stats;

SPANRING_C_API int spanring_c_version(void);
// "timeout: spans are still on their way"; of static storage. Of any number, also a later
// version's.
SPANRING_C_API const char* spanring_code_text(int code);

// --- The process's tracer ---------------------------------------------------------------------

// Whether spans are recorded. The first call, or the first span, starts the tracer where
// ENABLE_DB_TRACING asks for it.
SPANRING_C_API int spanring_enabled(void);
// Starts the tracer with the environment's settings, of which `settings` replaces some:
// "SPANRING_RING_BYTES=4194304" and so on, `count` of them. Enabled unless they say otherwise.
// OK, INVALID (a setting that there is not), RUNNING, BUSY, NO_MEMORY.
SPANRING_C_API spanring_code spanring_start(const char* const* settings, size_t count);
// Switches recording off (0) and on in a running process. OK, OFF.
SPANRING_C_API spanring_code spanring_set_enabled(int enabled);
// Waits until every span that had ended before is in the database. OK, TIMEOUT, LOSS, OFF.
SPANRING_C_API spanring_code spanring_flush(int64_t timeout_ms);
// Waits until they are in the journal on disk, or further: a process that is killed from then on
// loses none of them. OK, TIMEOUT (some are in memory alone), LOSS, OFF.
SPANRING_C_API spanring_code spanring_flush_to_disk(int64_t timeout_ms);
// Flushes, then stops the tracer. OK, TIMEOUT (what was not delivered is dropped, and counted).
SPANRING_C_API spanring_code spanring_shutdown(int64_t timeout_ms);
// Fills as much of `stats` as its size says.
SPANRING_C_API void spanring_get_stats(spanring_stats* stats);

// --- Spans ------------------------------------------------------------------------------------

// A child of the thread's current span; the root of a fresh trace where there is none. An empty
// service is the process's own.
SPANRING_C_API spanring_span* spanring_span_start(const char* service, size_t service_size,
                                                  const char* operation, size_t operation_size);
// A child of `parent`; without a span id a root of its trace, without a trace id (or with NULL) the
// root of a fresh one.
SPANRING_C_API spanring_span* spanring_span_start_child(const spanring_context* parent,
                                                        const char* service, size_t service_size,
                                                        const char* operation,
                                                        size_t operation_size);

SPANRING_C_API void spanring_span_set_text(spanring_span* span, const char* key, size_t key_size,
                                           const char* text, size_t text_size);
SPANRING_C_API void spanring_span_set_int(spanring_span* span, const char* key, size_t key_size,
                                          int64_t number);
SPANRING_C_API void spanring_span_set_double(spanring_span* span, const char* key, size_t key_size,
                                             double number);
SPANRING_C_API void spanring_span_set_bool(spanring_span* span, const char* key, size_t key_size,
                                           int truth);
// The columns job_id, execution_id, model_id and region; an empty text and a NULL id leave what was
// set before.
SPANRING_C_API void spanring_span_set_execution_context(spanring_span* span, const char* job_id,
                                                        size_t job_id_size,
                                                        const int64_t* execution_id,
                                                        const char* model_id, size_t model_id_size,
                                                        const char* region, size_t region_size);
// For spans of another time: nanoseconds after 1970.
SPANRING_C_API void spanring_span_set_start_time(spanring_span* span, int64_t unix_ns);
SPANRING_C_API void spanring_span_set_end_time(spanring_span* span, int64_t unix_ns);

// What a child needs; all zero when nothing is recorded.
SPANRING_C_API void spanring_span_context(const spanring_span* span, spanring_context* context);

// Ends the span as "completed" (which an empty status is), "failed" or "timeout", and makes *span
// NULL: it exists no more. A NULL span is fine.
SPANRING_C_API void spanring_span_complete(spanring_span** span, const char* status,
                                           size_t status_size);
// The same with the columns error_message and error_type; an empty status is "failed".
SPANRING_C_API void spanring_span_complete_with_error(spanring_span** span, const char* error,
                                                      size_t error_size, const char* error_type,
                                                      size_t error_type_size, const char* status,
                                                      size_t status_size);

// --- Context ----------------------------------------------------------------------------------

// The parent that this thread's next span takes.
SPANRING_C_API void spanring_current_context(spanring_context* context);
// Makes `context` (NULL: none) that parent, and says in `previous` (may be NULL) which it was.
SPANRING_C_API void spanring_exchange_context(const spanring_context* context,
                                              spanring_context* previous);

#define SPANRING_TRACEPARENT_SIZE 56  // with its NUL
// Reads a W3C traceparent. OK, INVALID.
SPANRING_C_API spanring_code spanring_read_traceparent(const char* header, size_t header_size,
                                                       spanring_context* context);
// Writes a context as a W3C traceparent. OK, INVALID: there is no span in it; the text is empty.
SPANRING_C_API spanring_code spanring_write_traceparent(const spanring_context* context,
                                                        char header[SPANRING_TRACEPARENT_SIZE]);
