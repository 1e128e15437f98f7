// What becomes of the memory of threads that have ended: counted, page by page.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ring/registry.h"
#include "ring/this_thread.h"
#include "runtime/sanitizers.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::ring {
namespace {

constexpr std::uint64_t kRingBytes = 64 * 1024;
constexpr std::uintptr_t kPageBytes = 4096;

OpenSpan* StartSpan() {
  return internal::StartSpan(TraceId(1, 2), SpanId(), "service", "operation");
}

std::size_t ResidentPages(const void* start, std::size_t bytes) {
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(start) & ~(kPageBytes - 1);
  const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(start) + bytes;
  std::vector<unsigned char> pages((end - first + kPageBytes - 1) / kPageBytes);
  if (mincore(reinterpret_cast<void*>(first), end - first, pages.data()) != 0) return 0;
  std::size_t resident = 0;
  for (const unsigned char page : pages) resident += page & 1;
  return resident;
}

constexpr std::size_t kHeadPages =
    (sizeof(PageHeader) + sizeof(Producer) + kPageBytes - 1) / kPageBytes;

// Of the producer itself and the ring that follows it.
std::size_t ResidentPages(const Producer* producer) {
  return ResidentPages(reinterpret_cast<const PageHeader*>(producer) - 1,
                       kHeadPages * kPageBytes + kRingBytes);
}

class IdleMemory : public testing::Test {
 protected:
  // Outlives every thread that knows it, so it stays.
  IdleMemory() : registry_(*new Registry(kRingBytes, 100'000)) {
    registries_.push_back(&registry_);  // Reachable, for the leak checker.
    SetRegistry(&registry_);
  }
  ~IdleMemory() override { SetRegistry(nullptr); }

  // Threads that have their first span all at once, and then do `body`.
  template <typename Body>
  static void ThreadsAtOnce(std::size_t count, Body body) {
    std::atomic<std::size_t> ready{0};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; ++i) {
      threads.emplace_back([&] {
        internal::EndSpanCompleted(StartSpan());
        ready.fetch_add(1);
        while (ready.load() < count) std::this_thread::yield();
        body();
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  static void ThreadsAtOnce(std::size_t count) {
    ThreadsAtOnce(count, [] {});
  }

  // What the drainer does. Returns the spans that it read.
  std::uint64_t Read(Producer* producer) {
    std::uint64_t spans = 0;
    Ring& ring = producer->ring();
    ring.Refresh();
    while (const RecordHeader* record = ring.Peek()) {
      EXPECT_EQ(record->status, RecordStatus::kCompleted);
      EXPECT_TRUE(ids_.insert(record->span_id).second);
      ring.Advance(record);
      ++spans;
    }
    ring.GiveBack();
    return spans;
  }
  std::vector<Producer*> GiveUpSurplus() {
    std::vector<Producer*> given;
    while (Producer* producer = registry_.TakeSurplus()) {
      Read(producer);
      producer->GiveUpPages();
      registry_.ReturnCold(producer);
      given.push_back(producer);
    }
    return given;
  }
  // Of all that are idle, the one that has been so for longest.
  void MakeOldest(Producer* oldest) {
    std::vector<Producer*> others;
    for (std::size_t n = Producers().size(); n > 0; --n) {
      Producer* const p = registry_.Take();
      if (p != oldest) others.push_back(p);
    }
    registry_.Return(oldest);
    for (Producer* p : others) registry_.Return(p);
  }
  std::vector<Producer*> Producers() const {
    std::vector<Producer*> all;
    for (Producer* p = registry_.first(); p != nullptr; p = p->next) all.push_back(p);
    return all;
  }

  Registry& registry_;
  std::set<std::uint64_t> ids_;
  static inline auto& registries_ = *new std::vector<Registry*>;
};

TEST_F(IdleMemory, ABurstOfThreadsLeavesThePagesOfTheWarmOnly) {
  constexpr std::size_t kThreads = 100;
  for (int round = 1; round <= 3; ++round) {
    SCOPED_TRACE(round);
    ThreadsAtOnce(kThreads, [&] {
      // Whether new, warm or cold before: its pages are there.
      for (int i = 0; i < 10; ++i) internal::EndSpanCompleted(StartSpan());
    });
    ASSERT_EQ(Producers().size(), kThreads) << "no more than threads at once";
    for (const Producer* p : Producers()) {
      EXPECT_EQ(ResidentPages(p), kHeadPages + kRingBytes / kPageBytes);
    }
    EXPECT_EQ(registry_.cold(), 0U);
    EXPECT_EQ(GiveUpSurplus().size(), kThreads - kWarmProducers);
    EXPECT_EQ(registry_.cold(), kThreads - kWarmProducers);
    EXPECT_EQ(registry_.TakeSurplus(), nullptr) << "nothing more is due";
    std::size_t resident = 0;
    for (const Producer* p : Producers()) resident += ResidentPages(p);
    EXPECT_EQ(resident, kThreads * kHeadPages + kWarmProducers * kRingBytes / kPageBytes);
    for (Producer* p : Producers()) Read(p);
    EXPECT_EQ(ids_.size(), static_cast<std::size_t>(round) * kThreads * 11) << "each span once";
    const Stats stats = registry_.Count();
    EXPECT_EQ(stats.started, ids_.size());
    EXPECT_EQ(stats.journalled, ids_.size());
  }
}

TEST_F(IdleMemory, TheWarmAreTakenFirst) {
  ThreadsAtOnce(kWarmProducers + 5);
  const std::vector<Producer*> given = GiveUpSurplus();
  ASSERT_EQ(given.size(), 5U);
  ThreadsAtOnce(kWarmProducers);
  EXPECT_EQ(registry_.cold(), 5U);
  for (const Producer* p : given) EXPECT_LT(ResidentPages(p), kRingBytes / kPageBytes);
  ThreadsAtOnce(kWarmProducers + 2);
  EXPECT_EQ(registry_.cold(), 3U);
}

// Also over several laps, for the ring goes on where it was.
TEST_F(IdleMemory, AColdProducerGoesOnWhereItWas) {
  ThreadsAtOnce(kWarmProducers + 1);
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(GiveUpSurplus().size(), 1U);
    ThreadsAtOnce(kWarmProducers + 1, [] {
      for (int i = 0; i < 100; ++i) internal::EndSpanCompleted(StartSpan());
    });
    for (Producer* p : Producers()) Read(p);
  }
  EXPECT_EQ(registry_.Count().dropped, 0U);
  EXPECT_EQ(registry_.Count().journalled, ids_.size());
  EXPECT_EQ(ids_.size(), (kWarmProducers + 1) * (1 + 20 * 101));
}

TEST_F(IdleMemory, SlotsStayWhileASpanIsOpen) {
  std::atomic<OpenSpan*> left_open{nullptr};
  ThreadsAtOnce(kWarmProducers + 1, [&] {
    OpenSpan* const span = StartSpan();
    OpenSpan* none = nullptr;
    if (!left_open.compare_exchange_strong(none, span)) internal::EndSpanCompleted(span);
  });
  OpenSpan* const open = left_open.load();
  internal::SetAttribute(open, "key", std::string_view("value"));
  Producer* const owner = open->owner;
  MakeOldest(owner);
  ASSERT_EQ(GiveUpSurplus(), std::vector<Producer*>{owner});
  EXPECT_EQ(owner->slots(), 64U);
  EXPECT_EQ(open->record.status, RecordStatus::kOpen);
  std::thread([&] { internal::EndSpanCompleted(open); }).join();
  EXPECT_EQ(registry_.Count().open, 0U);
  // Given back from elsewhere, so that all are free again, and go.
  ASSERT_EQ(GiveUpSurplus(), std::vector<Producer*>{owner});
  EXPECT_EQ(owner->slots(), 0U);
  EXPECT_TRUE(GiveUpSurplus().empty());
  ThreadsAtOnce(kWarmProducers + 1);  // One of them takes it again.
  EXPECT_GT(owner->slots(), 0U);
  for (Producer* p : Producers()) Read(p);
  EXPECT_EQ(registry_.Count().journalled, ids_.size());
}

// The pages of its ring are mapped still; those of its slots cannot be had.
TEST_F(IdleMemory, WithoutMemoryAColdProducerStaysCold) {
  if (kSanitizer) GTEST_SKIP() << "the sanitizer needs the address space";
  ThreadsAtOnce(kWarmProducers + 1);
  const std::vector<Producer*> given = GiveUpSurplus();
  ASSERT_EQ(given.size(), 1U);
  std::vector<Producer*> warm;
  for (std::uint64_t i = 0; i < kWarmProducers; ++i) warm.push_back(registry_.Take());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &none), 0);
  Producer* const refused = registry_.Take();
  const std::uint64_t cold = registry_.cold();
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_EQ(refused, nullptr);
  EXPECT_EQ(cold, 1U);
  EXPECT_LT(ResidentPages(given[0]), kRingBytes / kPageBytes);
  EXPECT_EQ(registry_.Take(), given[0]);
  EXPECT_EQ(given[0]->slots(), 64U);
  for (Producer* p : warm) registry_.Return(p);
}

TEST_F(IdleMemory, AThreadThatHadVeryManySpansOpenLeavesThemNot) {
  OpenSpan* one = nullptr;
  std::thread([&] {
    std::vector<OpenSpan*> open;
    for (std::uint64_t i = 0; i < 3 * kWarmSlots; ++i) open.push_back(StartSpan());
    one = open[2 * kWarmSlots];
    // Most are dropped: the ring is small and nobody reads it.
    for (OpenSpan* span : open) internal::EndSpanCompleted(span);
  }).join();
  EXPECT_GT(ResidentPages(one, sizeof(*one)), 0U);
  ASSERT_EQ(GiveUpSurplus().size(), 1U) << "though no other producer is warm";
  EXPECT_EQ(Producers().front()->slots(), 0U);
  std::thread([&] { internal::EndSpanCompleted(StartSpan()); }).join();
  EXPECT_EQ(Producers().size(), 1U);
  EXPECT_EQ(Producers().front()->slots(), 64U);
}

TEST_F(IdleMemory, ExtensionsBeyondTheWarmAreUnmapped) {
  Extensions& extensions = registry_.extensions();
  std::vector<std::uint8_t*> blocks;
  for (std::uint64_t i = 0; i < kWarmExtensions + 10; ++i) blocks.push_back(extensions.Take());
  for (std::uint8_t* block : blocks) extensions.Return(block);
  int unmapped = 0;
  while (extensions.GiveBackSurplus()) ++unmapped;
  EXPECT_EQ(unmapped, 10);
  std::set<std::uint8_t*> again;
  for (std::uint64_t i = 0; i < kWarmExtensions; ++i) again.insert(extensions.Take());
  EXPECT_EQ(again.size(), kWarmExtensions);
  for (std::uint8_t* block : again) extensions.Return(block);
}

// Threads begin and end while the drainer's part runs, and nothing is lost or read twice.
TEST_F(IdleMemory, ThreadsComeAndGoWhilePagesAreGivenBack) {
  std::atomic<bool> stop{false};
  std::thread drainer([&] {
    while (!stop.load()) {
      for (Producer* p = registry_.first(); p != nullptr; p = p->next) Read(p);
      GiveUpSurplus();
    }
  });
  for (int round = 0; round < 20; ++round) {
    ThreadsAtOnce(40, [] {
      for (int i = 0; i < 5; ++i) internal::EndSpanCompleted(StartSpan());
    });
  }
  stop.store(true);
  drainer.join();
  for (Producer* p : Producers()) Read(p);
  EXPECT_EQ(registry_.Count().started, 20U * 40 * 6);
  EXPECT_EQ(registry_.Count().journalled, 20U * 40 * 6);
  EXPECT_EQ(ids_.size(), 20U * 40 * 6);
  EXPECT_LE(Producers().size(), 41U);
}

}  // namespace
}  // namespace spanring::ring
