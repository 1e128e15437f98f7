#include "ring/producer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "ring/registry.h"
#include "ring/this_thread.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::ring {
namespace {

using internal::OpenSpan;

constexpr std::uint64_t kRingBytes = 64 * 1024;

// Each test has a registry of its own. It must outlive every thread that knows it, so it stays.
class Recording : public testing::Test {
 protected:
  Recording() : registry_(*new Registry(kRingBytes, 1000)) {
    registries_.push_back(&registry_);  // Reachable, for the leak checker.
    SetRegistry(&registry_);
  }
  ~Recording() override { SetRegistry(nullptr); }

  static OpenSpan* StartSpan() {
    return internal::StartSpan(TraceId(1, 2), SpanId(), "service", "operation");
  }
  // A test body on a thread of its own, so that it has no producer of an earlier registry.
  template <typename Body>
  static void OnAThread(Body body) {
    std::thread(body).join();
  }
  std::size_t Producers() const {
    std::size_t n = 0;
    for (const Producer* p = registry_.first(); p != nullptr; p = p->next) ++n;
    return n;
  }
  std::uint64_t Dropped(DropReason reason) const {
    return registry_.Count().dropped_by_reason[static_cast<std::size_t>(reason)];
  }
  void Balance() const {
    const Stats stats = registry_.Count();
    EXPECT_EQ(stats.started, stats.journalled + stats.open + stats.dropped);
  }

  Registry& registry_;
  // Never destroyed, for the leak checker.
  static inline auto& registries_ = *new std::vector<Registry*>;
};

TEST_F(Recording, SlotsAreReusedLastInFirstOut) {
  OnAThread([&] {
    OpenSpan* first = StartSpan();
    OpenSpan* second = StartSpan();
    EXPECT_NE(first, second);
    internal::EndSpanCompleted(second);
    EXPECT_EQ(StartSpan(), second);
    internal::EndSpanCompleted(first);
    internal::EndSpanCompleted(second);
  });
  EXPECT_EQ(registry_.Count().started, 3U);
  EXPECT_EQ(registry_.Count().journalled, 3U);
  Balance();
}

TEST_F(Recording, SlotsGrowUpToTheLimitAndCountWhatIsBeyond) {
  OnAThread([&] {
    std::set<OpenSpan*> open;
    for (int i = 0; i < 1000; ++i) {
      OpenSpan* span = StartSpan();
      ASSERT_NE(span, nullptr) << i;
      EXPECT_TRUE(open.insert(span).second);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(span) % 64, 0U);
    }
    EXPECT_EQ(StartSpan(), nullptr);
    EXPECT_EQ(StartSpan(), nullptr);
    EXPECT_EQ(registry_.Count().open, 1000U);
    EXPECT_EQ(Dropped(DropReason::kOpenSpanLimit), 2U);
    Balance();
    internal::EndSpanCompleted(*open.begin());
    OpenSpan* again = StartSpan();
    EXPECT_EQ(again, *open.begin());
    EXPECT_EQ(StartSpan(), nullptr);
  });
  EXPECT_EQ(registry_.Count().started, 1004U);
  Balance();
}

TEST_F(Recording, FullRingDropsWholeSpansAndCounts) {
  OnAThread([&] {
    for (int i = 0; i < 10'000; ++i) internal::EndSpanCompleted(StartSpan());
  });
  const Stats stats = registry_.Count();
  EXPECT_EQ(stats.started, 10'000U);
  EXPECT_GT(Dropped(DropReason::kRingFull), 0U);
  EXPECT_EQ(stats.journalled + Dropped(DropReason::kRingFull), 10'000U);
  Ring& ring = registry_.first()->ring();
  ring.Refresh();
  std::uint64_t records = 0;
  while (const RecordHeader* record = ring.Peek()) {
    EXPECT_EQ(record->status, RecordStatus::kCompleted);
    ring.Advance(record);
    ++records;
  }
  EXPECT_EQ(records, stats.journalled);
}

TEST_F(Recording, IdsAreUniqueAndNotZero) {
  std::set<std::uint64_t> ids;
  for (int thread = 0; thread < 4; ++thread) {
    OnAThread([&] {
      for (int i = 0; i < 50'000; ++i) {
        OpenSpan* span = StartSpan();
        const std::uint64_t id = internal::ContextOf(span).span_id.value();
        ASSERT_NE(id, 0U);
        ASSERT_TRUE(ids.insert(id).second);
        internal::EndSpanCompleted(span);
      }
    });
  }
}

TEST_F(Recording, TraceIdsAreUuidsOfVersionSevenAndUnique) {
  std::set<std::string> ids;
  for (int i = 0; i < 20'000; ++i) {
    const TraceId id = internal::NewTraceId();
    ASSERT_EQ(id.high() >> 12 & 15, 7U);
    ASSERT_EQ(id.low() >> 62, 2U);
    ASSERT_TRUE(ids.insert(id.ToHex()).second);
  }
  const auto now_ms = static_cast<std::uint64_t>(absl::ToUnixMillis(absl::Now()));
  EXPECT_NEAR(static_cast<double>(internal::NewTraceId().high() >> 16), static_cast<double>(now_ms),
              60'000.0);
}

TEST_F(Recording, ThreadsInSequenceReuseOneProducer) {
  for (int i = 0; i < 200; ++i) {
    OnAThread([&] { internal::EndSpanCompleted(StartSpan()); });
  }
  EXPECT_EQ(Producers(), 1U);
  EXPECT_EQ(registry_.Count().started, 200U);
  EXPECT_EQ(registry_.Count().journalled, 200U);
}

TEST_F(Recording, ThreadsAtOnceHaveProducersOfTheirOwn) {
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      OpenSpan* span = StartSpan();
      ready.fetch_add(1);
      while (ready.load() < 4) std::this_thread::yield();
      internal::EndSpanCompleted(span);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Producers(), 4U);
}

TEST_F(Recording, ASpanOpenBeyondItsThreadStillEnds) {
  OpenSpan* span = nullptr;
  OnAThread([&] { span = StartSpan(); });
  EXPECT_EQ(registry_.Count().open, 1U);
  OnAThread([&] { internal::EndSpanCompleted(span); });
  EXPECT_EQ(registry_.Count().open, 0U);
  EXPECT_EQ(registry_.Count().journalled, 1U);
  Balance();
}

TEST_F(Recording, EndingElsewhereGivesTheSlotBackToItsOwner) {
  OnAThread([&] {
    std::set<OpenSpan*> open;
    for (int i = 0; i < 1000; ++i) open.insert(StartSpan());
    ASSERT_EQ(StartSpan(), nullptr);
    OnAThread([&] {
      for (OpenSpan* span : open) internal::EndSpanCompleted(span);
    });
    for (int i = 0; i < 1000; ++i) {
      OpenSpan* span = StartSpan();
      ASSERT_NE(span, nullptr) << i;
      ASSERT_TRUE(open.contains(span));
    }
    EXPECT_EQ(StartSpan(), nullptr);
  });
  EXPECT_EQ(Producers(), 2U);
  EXPECT_EQ(registry_.Count().open, 1000U);
  Balance();
}

TEST_F(Recording, ManyThreadsEndTheSpansOfOne) {
  OnAThread([&] {
    for (int round = 0; round < 20; ++round) {
      std::vector<OpenSpan*> open;
      for (int i = 0; i < 400; ++i) {
        open.push_back(StartSpan());
        ASSERT_NE(open.back(), nullptr);
      }
      std::vector<std::thread> threads;
      for (std::size_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
          for (std::size_t i = t; i < open.size(); i += 4) internal::EndSpanCompleted(open[i]);
        });
      }
      for (std::thread& thread : threads) thread.join();
      Balance();
    }
  });
  EXPECT_EQ(registry_.Count().open, 0U);
  EXPECT_EQ(registry_.Count().started, 8000U);
}

TEST_F(Recording, LargeSpansUseAnExtensionAndGiveItBack) {
  OnAThread([&] {
    const std::string text(1000, 'x');
    for (int round = 0; round < 3; ++round) {
      OpenSpan* span = StartSpan();
      for (int i = 0; i < 20; ++i) internal::SetAttribute(span, "key", std::string_view(text));
      EXPECT_NE(span->items, span->inline_items);
      EXPECT_EQ(span->lost_attributes, 0U);
      internal::EndSpanCompleted(span);
    }
    Ring& ring = registry_.first()->ring();
    ring.Refresh();
    while (const RecordHeader* record = ring.Peek()) {
      ItemReader reader(ItemsOf(record));
      int attributes = 0;
      while (const auto item = reader.Next()) {
        if (item->kind != ItemKind::kString) continue;
        EXPECT_EQ(item->value, text);
        ++attributes;
      }
      EXPECT_EQ(attributes, 20);
      ring.Advance(record);
    }
  });
}

// Lost while the span was still inline, and lost to a full extension.
TEST_F(Recording, LostAttributesAreCountedInTheRecord) {
  for (const std::size_t size : {std::size_t{40'000}, std::size_t{9'000}}) {
    SCOPED_TRACE(size);
    const std::uint64_t lost_before = registry_.Count().dropped_attributes;
    OnAThread([&] {
      const std::string text(size, 'x');
      OpenSpan* span = StartSpan();
      for (int i = 0; i < 5; ++i) internal::SetAttribute(span, "key", std::string_view(text));
      internal::EndSpanCompleted(span);
    });
    const std::uint32_t expected = size > kMaxItemBytes ? 5 : 2;
    EXPECT_EQ(registry_.Count().dropped_attributes - lost_before, expected);
    Ring& ring = registry_.first()->ring();
    ring.Refresh();
    const RecordHeader* record = ring.Peek();
    ASSERT_NE(record, nullptr);
    EXPECT_NE(record->flags & kAttributesLost, 0);
    std::uint32_t said = 0;
    ItemReader reader(ItemsOf(record));
    while (const auto item = reader.Next()) {
      if (item->kind == ItemKind::kLostAttributes) said = item->As<std::uint32_t>();
    }
    EXPECT_EQ(said, expected);
    ring.Advance(record);
    ring.GiveBack();
  }
}

TEST_F(Recording, WithoutARegistryNothingIsRecorded) {
  SetRegistry(nullptr);
  OnAThread([&] {
    internal::g_mode.store(internal::Mode::kOff);
    EXPECT_EQ(StartSpan(), nullptr);
    internal::g_mode.store(internal::Mode::kUndecided);
  });
  EXPECT_EQ(registry_.Count().started, 0U);
}

TEST_F(Recording, SpansOfAnotherRegistryAreNotRecordedHere) {
  OpenSpan* span = nullptr;
  OnAThread([&] { span = StartSpan(); });
  auto* other = new Registry(kRingBytes, 100);
  registries_.push_back(other);
  SetRegistry(other);
  OnAThread([&] {
    const std::string text(1000, 'x');
    internal::SetAttribute(span, "too large for the slot", std::string_view(text));
    internal::EndSpanCompleted(span);
  });
  EXPECT_EQ(other->Count().started, 0U);
  EXPECT_EQ(other->Count().journalled, 0U);
  EXPECT_EQ(registry_.Count().open, 1U);
}

}  // namespace
}  // namespace spanring::ring
