// The two events of BM_Baseline_LttngUst, in the form that lttng/tracepoint.h asks for.
// Threads: any. Memory: LTTng's. Errors: none.
// Design: docs/performance.md
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER spanring_bench
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "lttng_span.h"

#if !defined(SPANRING_BENCH_LTTNG_SPAN_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define SPANRING_BENCH_LTTNG_SPAN_H

#include <lttng/tracepoint.h>
#include <stdint.h>

// clang-format off
LTTNG_UST_TRACEPOINT_EVENT(spanring_bench, span_begin,
  LTTNG_UST_TP_ARGS(uint64_t, trace_high, uint64_t, trace_low, uint64_t, parent,
                    const char*, operation),
  LTTNG_UST_TP_FIELDS(
    lttng_ust_field_integer_hex(uint64_t, trace_high, trace_high)
    lttng_ust_field_integer_hex(uint64_t, trace_low, trace_low)
    lttng_ust_field_integer_hex(uint64_t, parent, parent)
    lttng_ust_field_string(operation, operation)))

LTTNG_UST_TRACEPOINT_EVENT(spanring_bench, span_end,
  LTTNG_UST_TP_ARGS(uint64_t, span),
  LTTNG_UST_TP_FIELDS(lttng_ust_field_integer_hex(uint64_t, span, span)))
// clang-format on

#endif

#include <lttng/tracepoint-event.h>
