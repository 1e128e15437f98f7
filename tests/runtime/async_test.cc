// Spans of tasks: whose children they are when the work moves to another thread.
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ring/this_thread.h"
#include "runtime/sanitizers.h"
#include "spanring/spanring.h"

namespace spanring {
namespace {

// Two threads that run what they are given, also what can only be moved.
class Pool {
 public:
  Pool() {
    for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { Work(); });
  }
  // After all that was submitted has run.
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  template <typename F>
  void Submit(F f) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::make_unique<Task<F>>(std::move(f)));
    wake_.notify_one();
  }

 private:
  struct AnyTask {
    virtual ~AnyTask() = default;
    virtual void Run() = 0;
  };
  template <typename F>
  struct Task : AnyTask {
    explicit Task(F f) : body(std::move(f)) {}
    void Run() override { std::move(body)(); }
    F body;
  };

  void Work() {
    for (;;) {
      std::unique_ptr<AnyTask> task;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task->Run();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<AnyTask>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// Tracing is on, into a registry of the test's own that nobody drains but Read().
class AsyncTest : public testing::Test {
 protected:
  struct Recorded {
    SpanId parent;
    TraceId trace;
  };

  explicit AsyncTest(std::uint64_t ring_bytes = 1024 * 1024)
      : registry_(*new ring::Registry(ring_bytes, 131'072)) {
    registries_.push_back(&registry_);
    ring::SetRegistry(&registry_);
    internal::g_mode.store(internal::Mode::kOn);
  }
  ~AsyncTest() override {
    internal::g_mode.store(internal::Mode::kOff);
    ring::SetRegistry(nullptr);
  }
  // On a thread of its own, which takes its producer from this test's registry.
  template <typename Body>
  static void Do(Body body) {
    std::thread(std::move(body)).join();
  }
  // All spans that have ended, by their ids.
  std::map<std::uint64_t, Recorded> Read() {
    std::map<std::uint64_t, Recorded> spans;
    for (ring::Producer* p = registry_.first(); p != nullptr; p = p->next) {
      p->ring().Refresh();
      while (const ring::RecordHeader* record = p->ring().Peek()) {
        const Recorded recorded{SpanId(record->parent_id),
                                TraceId(record->trace_id_high, record->trace_id_low)};
        EXPECT_TRUE(spans.emplace(record->span_id, recorded).second) << "twice";
        p->ring().Advance(record);
      }
      p->ring().GiveBack();
    }
    return spans;
  }
  void ExpectChild(const SpanContext& child, const SpanContext& parent) {
    if (spans_.empty()) spans_ = Read();
    ASSERT_TRUE(spans_.contains(child.span_id.value()));
    EXPECT_EQ(spans_[child.span_id.value()].parent, parent.span_id);
    EXPECT_EQ(spans_[child.span_id.value()].trace, parent.trace_id);
  }

  // A span without a named parent, ended at once: what it says of itself.
  static SpanContext Leaf() { return Tracer().StartSpan("s", "leaf").context(); }

  Tracer tracer_;
  ring::Registry& registry_;
  std::map<std::uint64_t, Recorded> spans_;
  // Never destroyed, for the leak checker.
  static inline auto& registries_ = *new std::vector<ring::Registry*>;
};

TEST_F(AsyncTest, ABoundTaskHasTheParentOfItsBinding) {
  SpanContext parent;
  SpanContext in_thread;
  SpanContext in_async;
  SpanContext in_function;
  SpanContext in_packaged;
  SpanContext unbound;
  Do([&] {
    Span span = tracer_.StartSpan("s", "parent");
    parent = span.context();
    std::function<SpanContext()> function;
    std::packaged_task<SpanContext()> packaged;
    {
      const Scope scope(span);
      std::thread(BindContext([&] { in_thread = Leaf(); })).join();
      in_async = std::async(std::launch::async, BindContext(&AsyncTest::Leaf)).get();
      function = BindContext(Leaf);
      packaged = std::packaged_task<SpanContext()>(BindContext(Leaf));
    }
    // Called outside of the scope, and after the span's end.
    span.Complete();
    in_function = function();
    std::future<SpanContext> result = packaged.get_future();
    std::thread(std::move(packaged)).join();
    in_packaged = result.get();
    unbound = Leaf();
  });
  for (const SpanContext& child : {in_thread, in_async, in_function, in_packaged}) {
    ExpectChild(child, parent);
  }
  EXPECT_TRUE(spans_[unbound.span_id.value()].parent.is_nil()) << "the context was put back";
}

TEST_F(AsyncTest, AThreadPoolServesManyParents) {
  constexpr std::size_t kTasks = 200;
  std::vector<SpanContext> parents(kTasks);
  std::vector<SpanContext> children(kTasks);
  std::vector<SpanContext> explicit_children(kTasks);
  Do([&] {
    Pool pool;
    for (std::size_t i = 0; i < kTasks; ++i) {
      const Span span = tracer_.StartSpan("s", "request");
      parents[i] = span.context();
      const Scope scope(span);
      pool.Submit(BindContext([&children, i] { children[i] = Leaf(); }));
      // The same without the helper, for code that has the context at hand.
      pool.Submit([&explicit_children, i, context = span.context()] {
        explicit_children[i] = Tracer().StartSpan(context, "s", "leaf").context();
      });
    }
  });
  for (std::size_t i = 0; i < kTasks; ++i) {
    ExpectChild(children[i], parents[i]);
    ExpectChild(explicit_children[i], parents[i]);
  }
}

TEST_F(AsyncTest, ABoundTaskHandsOnArgumentsResultsAndExceptions) {
  Do([&] {
    const Span span = tracer_.StartSpan("s", "parent");
    const Scope scope(span);
    int number = 1;
    auto reference = BindContext([](int& n) -> int& { return n; });
    static_assert(std::is_same_v<decltype(reference(number)), int&>);
    EXPECT_EQ(&reference(number), &number);
    auto moves = BindContext(
        [](std::unique_ptr<int> pointer) { return std::make_unique<int>(*pointer + 1); });
    EXPECT_EQ(*moves(std::make_unique<int>(6)), 7);
    const auto constant = BindContext([](int a, int b) { return a - b; });
    EXPECT_EQ(constant(5, 3), 2);
    auto counts = BindContext([n = 0]() mutable { return ++n; });
    EXPECT_EQ(counts(), 1);
    EXPECT_EQ(counts(), 2);
    const std::string text = "four";
    EXPECT_EQ(BindContext(&std::string::size)(text), 4U);

    const SpanContext elsewhere{TraceId(1, 2), SpanId(3), true};
    const Scope other(elsewhere);
    auto throws = BindContext([] { throw std::runtime_error("thrown"); });
    EXPECT_THROW(throws(), std::runtime_error);
    EXPECT_EQ(tracer_.CurrentContext(), elsewhere);
  });
}

TEST_F(AsyncTest, ABoundTaskIsWhatItsCallableIs) {
  auto copyable = BindContext([](int n) noexcept { return n; });
  using Copyable = decltype(copyable);
  static_assert(std::is_copy_constructible_v<Copyable>);
  static_assert(std::is_nothrow_invocable_v<Copyable&, int>);
  static_assert(std::is_nothrow_invocable_v<const Copyable&, int>);
  static_assert(std::is_nothrow_invocable_v<Copyable, int>);
  static_assert(!std::is_invocable_v<Copyable&>);
  static_assert(!std::is_invocable_v<Copyable&, std::string>);
  static_assert(sizeof(Copyable) == sizeof(SpanContext), "no room for a lambda without captures");

  auto move_only = BindContext([pointer = std::make_unique<int>(3)] { return *pointer; });
  using MoveOnly = decltype(move_only);
  static_assert(!std::is_copy_constructible_v<MoveOnly>);
  static_assert(std::is_nothrow_move_constructible_v<MoveOnly>);
  static_assert(!std::is_nothrow_invocable_v<MoveOnly&>);
  static_assert(sizeof(MoveOnly) == sizeof(SpanContext) + sizeof(void*));
  EXPECT_EQ(std::move(move_only)(), 3);

  struct OnlyOnce {
    int operator()() && { return 1; }
  };
  using Once = decltype(BindContext(OnlyOnce()));
  static_assert(std::is_invocable_v<Once> && !std::is_invocable_v<Once&>);
  static_assert(noexcept(BindContext(OnlyOnce())));
  static_assert(!noexcept(BindContext(std::declval<const std::string&>())));
  EXPECT_EQ(BindContext(OnlyOnce())(), 1);
}

TEST_F(AsyncTest, WithoutACurrentSpanATaskRunsAsItIs) {
  const SpanContext runner{TraceId(1, 2), SpanId(3), true};
  auto current = BindContext([&] { return tracer_.CurrentContext(); });
  EXPECT_FALSE(current().is_valid());
  const Scope scope(runner);
  EXPECT_EQ(current(), runner);
  internal::g_mode.store(internal::Mode::kOff);
  auto bound_while_off = BindContext([] { return Tracer().CurrentContext(); });
  internal::g_mode.store(internal::Mode::kOn);
  const SpanContext other{TraceId(4, 5), SpanId(6), true};
  const Scope inner(other);
  EXPECT_EQ(bound_while_off(), other);
}

// --- Coroutines ---

// Runs to its first suspension when called, and frees itself at its end.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

// co_await ResumeOn{pool}: what follows runs on one of the pool's threads.
struct ResumeOn {
  Pool& pool;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) const {
    pool.Submit([coroutine] { coroutine.resume(); });
  }
  void await_resume() const noexcept {}
};

struct Seen {
  SpanContext root;
  SpanContext before;
  SpanContext after;
  SpanContext nested;
  SpanContext last;
};

// A span lives across suspensions; a Scope only between two of them.
Detached Handle(Pool& pool, Seen& seen) {
  Span root = Tracer().StartSpan(SpanContext(), "s", "request");
  seen.root = root.context();
  {
    const Scope scope(root);
    seen.before = Tracer().StartSpan("s", "before").context();
  }
  co_await ResumeOn{pool};
  Span after = Tracer().StartSpan(root.context(), "s", "after");
  seen.after = after.context();
  co_await ResumeOn{pool};
  {
    const Scope scope(after);
    seen.nested = Tracer().StartSpan("s", "nested").context();
  }
  after.Complete();
  co_await ResumeOn{pool};
  seen.last = Tracer().StartSpan(root.context(), "s", "last").context();
  root.Complete();
}

TEST_F(AsyncTest, ACoroutineThatResumesElsewhereKeepsItsParents) {
  std::vector<Seen> seen(300);
  Do([&] {
    Pool pool;
    for (Seen& one : seen) {
      Handle(pool, one);
      EXPECT_FALSE(tracer_.CurrentContext().is_valid()) << "left behind by a coroutine";
    }
    // Threads of the pool are not under anybody's scope between two tasks.
    for (int i = 0; i < 50; ++i) {
      pool.Submit([&] { EXPECT_FALSE(tracer_.CurrentContext().is_valid()); });
    }
  });
  for (const Seen& one : seen) {
    ExpectChild(one.before, one.root);
    ExpectChild(one.after, one.root);
    ExpectChild(one.nested, one.after);
    ExpectChild(one.last, one.root);
    EXPECT_TRUE(spans_[one.root.span_id.value()].parent.is_nil());
  }
  EXPECT_EQ(spans_.size(), 5 * seen.size());
  EXPECT_EQ(registry_.Count().open, 0U);
}

// --- Many at once ---

class ManyOpenTest : public AsyncTest {
 protected:
  // All of them fit into one ring.
  ManyOpenTest() : AsyncTest(16 * 1024 * 1024) {}
  static constexpr std::size_t kSpans = 100'000;

  std::vector<Span> OpenAll() {
    std::vector<Span> spans;
    spans.reserve(kSpans);
    for (std::size_t i = 0; i < kSpans; ++i) {
      spans.push_back(tracer_.StartSpan(site_));
      spans.back().SetAttribute("i", i);
    }
    EXPECT_EQ(registry_.Count().open, kSpans);
    std::shuffle(spans.begin(), spans.end(), std::mt19937(7));
    return spans;
  }
  void ExpectAllRecorded() {
    const Stats stats = registry_.Count();
    EXPECT_EQ(stats.started, kSpans);
    EXPECT_EQ(stats.journalled, kSpans);
    EXPECT_EQ(stats.open, 0U);
    EXPECT_EQ(stats.dropped, 0U);
    EXPECT_EQ(Read().size(), kSpans);
  }
  static inline constinit CallSite site_{"s", "one of many"};
};

TEST_F(ManyOpenTest, AHundredThousandEndInAnyOrder) {
  Do([&] {
    for (Span& span : OpenAll()) span.Complete();
    // Memory: 512 bytes each, mapped in steps of 2 MiB at most.
    EXPECT_GE(registry_.first()->slots(), kSpans);
    EXPECT_LE(registry_.first()->slots(), kSpans + 4096);
  });
  ExpectAllRecorded();
}

TEST_F(ManyOpenTest, AHundredThousandEndOnAnotherThread) {
  Do([&] {
    std::vector<Span> spans = OpenAll();
    Do([&] {
      for (Span& span : spans) span.Complete();
    });
    // Their slots are their starter's again: it needs no more.
    const std::uint64_t slots = registry_.first()->next->slots();
    EXPECT_GE(slots, kSpans);
    for (std::size_t i = 0; i < kSpans; ++i) spans[i] = tracer_.StartSpan(site_);
    EXPECT_EQ(registry_.first()->next->slots(), slots);
    EXPECT_EQ(Read().size(), kSpans);
    spans.clear();
  });
  EXPECT_EQ(registry_.Count().journalled, 2 * kSpans);
  EXPECT_EQ(registry_.Count().dropped, 0U);
  EXPECT_EQ(Read().size(), kSpans);
}

}  // namespace
}  // namespace spanring
