// The first program in C: one question, traced. Built with
//   cc quick_start.c $(pkg-config --cflags --libs spanring)
// and run as quick_start.cc is.
#include <spanring/c.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT(literal) literal, sizeof(literal) - 1

int main(void) {
  const int64_t execution_id = 42;
  spanring_span* question = spanring_span_start(TEXT("runner"), TEXT("runner.execute_question"));
  spanring_span_set_int(question, TEXT("attempt"), 1);
  spanring_span_set_execution_context(question, TEXT("job-7"), &execution_id, TEXT("llama-3-70b"),
                                      TEXT("eu-west"));
  spanring_context parent;
  spanring_span_context(question, &parent);

  spanring_span* call =
      spanring_span_start_child(&parent, TEXT("runner"), TEXT("runner.hybrid_router_call"));
  spanring_context context;
  char header[SPANRING_TRACEPARENT_SIZE];  // For the router's request.
  spanring_span_context(call, &context);
  spanring_write_traceparent(&context, header);
  spanring_span_complete_with_error(&call, TEXT("connection refused"), TEXT("ECONNREFUSED"),
                                    TEXT("failed"));
  spanring_span_complete(&question, TEXT("failed"));

  const spanring_code code = spanring_flush(5000);
  if (code == SPANRING_OK || code == SPANRING_OFF) return EXIT_SUCCESS;
  fprintf(stderr, "%s\n", spanring_code_text(code));
  return EXIT_FAILURE;
}
