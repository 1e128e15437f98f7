// spanring/c.h as C11 sees it, and what programs that were built with it rely on.
#include <assert.h>
#include <spanring/c.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(spanring_context) == 32, "the size of a context is for ever");
static_assert(offsetof(spanring_context, trace_id_low) == 8, "so is its form");
static_assert(offsetof(spanring_context, span_id) == 16, "");
static_assert(offsetof(spanring_context, is_sampled) == 24, "");
static_assert(offsetof(spanring_stats, started) == sizeof(size_t), "stats grow at the end");
static_assert(offsetof(spanring_stats, persist_failures) == sizeof(size_t) + 7 * 8, "");
static_assert(SPANRING_OK == 0 && SPANRING_INVALID == 1 && SPANRING_OFF == 2 &&
                  SPANRING_RUNNING == 3 && SPANRING_BUSY == 4 && SPANRING_TIMEOUT == 5 &&
                  SPANRING_LOSS == 6 && SPANRING_NO_MEMORY == 7,
              "codes keep their numbers");
static_assert(SPANRING_TRACEPARENT_SIZE == 56, "");

static int failures = 0;

static void Expect(int holds, const char* what, int line) {
  if (holds) return;
  ++failures;
  fprintf(stderr, "c_abi.c:%d: %s\n", line, what);
}
#define EXPECT(condition) Expect((condition), #condition, __LINE__)

// With tracing off, as it is without ENABLE_DB_TRACING.
int main(void) {
  EXPECT(spanring_c_version() == SPANRING_C_VERSION);
  EXPECT(!spanring_enabled());
  spanring_span* span = spanring_span_start("s", 1, "o", 1);
  EXPECT(span == NULL);
  spanring_span_set_text(span, "k", 1, "v", 1);
  spanring_span_complete(&span, NULL, 0);
  spanring_span_complete(NULL, NULL, 0);
  EXPECT(spanring_flush(0) == SPANRING_OFF);
  EXPECT(spanring_flush_to_disk(0) == SPANRING_OFF);
  EXPECT(spanring_set_enabled(1) == SPANRING_OFF);

  const char* const bad[] = {"SPANRING_RING_BYTE=1"};
  EXPECT(spanring_start(bad, 1) == SPANRING_INVALID);
  EXPECT(spanring_start(NULL, 1) == SPANRING_INVALID);

  const char given[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  spanring_context context;
  EXPECT(spanring_read_traceparent(given, SPANRING_NUL, &context) == SPANRING_OK);
  EXPECT(context.trace_id_high == 0x0af7651916cd43ddu);
  EXPECT(context.trace_id_low == 0x8448eb211c80319cu);
  EXPECT(context.span_id == 0xb7ad6b7169203331u);
  EXPECT(context.is_sampled == 1);
  char header[SPANRING_TRACEPARENT_SIZE];
  EXPECT(spanring_write_traceparent(&context, header) == SPANRING_OK);
  EXPECT(strcmp(header, given) == 0);
  EXPECT(spanring_read_traceparent(given, 10, &context) == SPANRING_INVALID);
  EXPECT(context.span_id == 0);
  EXPECT(spanring_write_traceparent(&context, header) == SPANRING_INVALID);
  EXPECT(header[0] == '\0');

  // Built with a header that knew less: nothing is written behind what it knew.
  struct {
    spanring_stats stats;
    uint64_t behind;
  } old;
  memset(&old, 0xab, sizeof(old));
  old.stats.size = offsetof(spanring_stats, persisted);
  spanring_get_stats(&old.stats);
  EXPECT(old.stats.started == 0);
  EXPECT(old.stats.persisted == 0xababababababababu);
  // And with one that knows more.
  old.stats.size = sizeof(old);
  spanring_get_stats(&old.stats);
  EXPECT(old.stats.persist_failures == 0);
  EXPECT(old.behind == 0xababababababababu);
  EXPECT(strcmp(spanring_code_text(SPANRING_OK), "ok") == 0);
  EXPECT(strcmp(spanring_code_text(99), "unknown code") == 0);
  return failures != 0;
}
