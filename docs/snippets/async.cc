// Spans of work that changes threads: a bound task, an explicit parent, and a coroutine.
//   ENABLE_DB_TRACING=true DATABASE_URL=postgresql://... ./async
#include <spanring/spanring.h>

#include <coroutine>
#include <cstdlib>
#include <exception>
#include <future>
#include <semaphore>
#include <thread>

namespace {

spanring::Tracer tracer;

void Fetch() { tracer.StartSpan("runner", "runner.fetch").Complete(); }

// What spans start in the task has the span that is current here as its parent.
void InATask() {
  std::future<void> fetched = std::async(std::launch::async, spanring::BindContext(Fetch));
  fetched.get();
}

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

struct ResumeOnANewThread {
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) const {
    std::thread([coroutine] { coroutine.resume(); }).detach();
  }
  void await_resume() const {}
};

// A span may live across a co_await; a Scope must not: it belongs to the thread that made it, and
// the coroutine may go on with another. Name the parent instead.
Detached Answer(spanring::SpanContext parent, std::binary_semaphore& done) {
  spanring::Span answer = tracer.StartSpan(parent, "runner", "runner.answer");
  co_await ResumeOnANewThread();
  spanring::Span encode = tracer.StartSpan(answer.context(), "runner", "runner.encode");
  encode.Complete();
  answer.Complete();
  done.release();
}

}  // namespace

int main() {
  tracer = spanring::Tracer::FromEnvironment();
  spanring::Span question = tracer.StartSpan("runner", "runner.execute_question");
  {
    const spanring::Scope scope(question);
    InATask();
  }
  std::binary_semaphore done(0);
  Answer(question.context(), done);
  done.acquire();
  question.Complete();
  const bool delivered = tracer.Flush(absl::Seconds(5)).ok();
  return delivered || !tracer.enabled() ? EXIT_SUCCESS : EXIT_FAILURE;
}
