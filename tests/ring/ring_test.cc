#include "ring/ring.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <deque>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "platform/random.h"

namespace spanring::ring {
namespace {

constexpr std::uint64_t kCapacity = 4096;

// A ring with its memory.
struct TestRing {
  explicit TestRing(std::uint64_t capacity)
      : memory(static_cast<std::uint8_t*>(std::aligned_alloc(64, capacity)), std::free),
        ring(memory.get(), capacity) {}
  std::unique_ptr<std::uint8_t, decltype(&std::free)> memory;
  Ring ring;
};

// A record that says its number and can be checked whole: every byte behind the header follows from
// number and place.
bool Write(Ring& ring, std::uint32_t size, std::uint64_t number) {
  std::uint8_t* to = ring.Reserve(size);
  if (to == nullptr) return false;
  RecordHeader header{};
  header.size = size;
  header.status = RecordStatus::kCompleted;
  header.span_id = number;
  std::memcpy(to, &header, sizeof(header));
  for (std::uint32_t at = sizeof(header); at < size; at += 8) {
    const std::uint64_t word = platform::Mix(number + at);
    std::memcpy(to + at, &word, 8);
  }
  ring.Commit(size);
  return true;
}

testing::AssertionResult IsWhole(const RecordHeader* record, std::uint32_t size,
                                 std::uint64_t number) {
  if (record->size != size) {
    return testing::AssertionFailure() << "size " << record->size << " instead of " << size;
  }
  if (record->status != RecordStatus::kCompleted || record->span_id != number) {
    return testing::AssertionFailure() << "record " << record->span_id << " instead of " << number;
  }
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(record);
  for (std::uint32_t at = sizeof(RecordHeader); at < size; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + at, 8);
    if (word != platform::Mix(number + at)) {
      return testing::AssertionFailure() << "torn at byte " << at << " of " << size;
    }
  }
  return testing::AssertionSuccess();
}

TEST(Ring, IsEmptyAtFirst) {
  TestRing test(kCapacity);
  test.ring.Refresh();
  EXPECT_EQ(test.ring.Peek(), nullptr);
  EXPECT_EQ(test.ring.capacity(), kCapacity);
  EXPECT_EQ(test.ring.max_record_bytes(), kCapacity / 2);
}

TEST(Ring, KeepsTheOrder) {
  TestRing test(kCapacity);
  for (std::uint64_t n = 1; n <= 20; ++n) {
    ASSERT_TRUE(Write(test.ring, static_cast<std::uint32_t>(64 + 8 * n), n));
  }
  test.ring.Refresh();
  for (std::uint64_t n = 1; n <= 20; ++n) {
    const RecordHeader* record = test.ring.Peek();
    ASSERT_NE(record, nullptr);
    EXPECT_TRUE(IsWhole(record, static_cast<std::uint32_t>(64 + 8 * n), n));
    test.ring.Advance(record);
  }
  EXPECT_EQ(test.ring.Peek(), nullptr);
}

TEST(Ring, ShowsNothingBeforeRefresh) {
  TestRing test(kCapacity);
  ASSERT_TRUE(Write(test.ring, 64, 1));
  EXPECT_EQ(test.ring.Peek(), nullptr);
  test.ring.Refresh();
  ASSERT_TRUE(Write(test.ring, 64, 2));
  const RecordHeader* record = test.ring.Peek();
  ASSERT_NE(record, nullptr);
  test.ring.Advance(record);
  EXPECT_EQ(test.ring.Peek(), nullptr) << "committed after the refresh";
}

TEST(Ring, AReservationThatIsNotCommittedIsNotSeen) {
  TestRing test(kCapacity);
  ASSERT_NE(test.ring.Reserve(64), nullptr);
  test.ring.Refresh();
  EXPECT_EQ(test.ring.Peek(), nullptr);
}

TEST(Ring, FullRingRefusesUntilSpaceIsGivenBack) {
  TestRing test(kCapacity);
  std::uint64_t written = 0;
  while (Write(test.ring, 64, written + 1)) ++written;
  EXPECT_EQ(written, kCapacity / 64) << "every byte is used";
  test.ring.Refresh();
  const RecordHeader* record = test.ring.Peek();
  ASSERT_NE(record, nullptr);
  test.ring.Advance(record);
  EXPECT_FALSE(Write(test.ring, 64, 99)) << "the space is not given back yet";
  test.ring.GiveBack();
  EXPECT_TRUE(Write(test.ring, 64, written + 1));
  EXPECT_FALSE(Write(test.ring, 64, 99));
  for (std::uint64_t n = 2; n <= written + 1; ++n) {
    test.ring.Refresh();
    record = test.ring.Peek();
    ASSERT_NE(record, nullptr);
    EXPECT_TRUE(IsWhole(record, 64, n)) << "a refused record left a trace";
    test.ring.Advance(record);
  }
}

// Every place in the lap at which a lap's rest can be too short, for several sizes.
TEST(Ring, WrapsAtEveryResidue) {
  for (const std::uint32_t size : {64U, 72U, 136U, 1000U, 2048U}) {
    for (std::uint64_t residue = 0; residue < kCapacity; residue += 8) {
      TestRing test(kCapacity);
      // Moves the ring's position to the residue with records of at least a header.
      std::uint64_t position = 0;
      while (position != residue) {
        std::uint64_t step = (residue - position) % kCapacity;
        if (step > 1024) step = 512;
        if (step < 64) step += residue < 64 ? 512 : 64;
        step = std::min<std::uint64_t>(step, 2048);
        if (residue < 64 && position + step > kCapacity) break;
        ASSERT_TRUE(Write(test.ring, static_cast<std::uint32_t>(step), 7));
        position += step;
        test.ring.Refresh();
        while (const RecordHeader* record = test.ring.Peek()) test.ring.Advance(record);
        test.ring.GiveBack();
        if (position > residue) break;
      }
      // Now write as much as fits, and read it all back, for two laps.
      std::uint64_t number = 100;
      for (std::uint64_t lap = 0; lap < 2 * kCapacity / size; ++lap) {
        ASSERT_TRUE(Write(test.ring, size, ++number)) << size << " at " << position;
        test.ring.Refresh();
        const RecordHeader* record = test.ring.Peek();
        ASSERT_NE(record, nullptr);
        ASSERT_TRUE(IsWhole(record, size, number)) << size << " at " << position;
        test.ring.Advance(record);
        ASSERT_EQ(test.ring.Peek(), nullptr);
        test.ring.GiveBack();
      }
    }
  }
}

TEST(Ring, LargestRecordFitsIntoAnEmptyRingWhereverItStands) {
  for (std::uint32_t first = 64; first <= kCapacity / 2; first += 8) {
    TestRing test(kCapacity);
    ASSERT_TRUE(Write(test.ring, first, 1));
    test.ring.Refresh();
    test.ring.Advance(test.ring.Peek());
    test.ring.GiveBack();
    for (std::uint64_t n = 2; n < 6; ++n) {
      ASSERT_TRUE(Write(test.ring, kCapacity / 2, n)) << first;
      test.ring.Refresh();
      const RecordHeader* record = test.ring.Peek();
      ASSERT_NE(record, nullptr);
      ASSERT_TRUE(IsWhole(record, kCapacity / 2, n));
      test.ring.Advance(record);
      test.ring.GiveBack();
    }
  }
}

// Against a queue that cannot be wrong: random writes and reads on one thread.
TEST(Ring, RandomCallsAgreeWithAQueue) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  TestRing test(kCapacity);
  std::deque<std::pair<std::uint32_t, std::uint64_t>> expected;
  std::uint64_t number = 0;
  for (int round = 0; round < 200'000; ++round) {
    if (random() % 5 < 3) {
      const auto size = static_cast<std::uint32_t>(64 + 8 * (random() % 249));
      if (Write(test.ring, size, number + 1)) {
        ++number;
        expected.emplace_back(size, number);
      } else {
        ASSERT_FALSE(expected.empty()) << "an empty ring takes any record";
      }
    } else {
      test.ring.Refresh();
      for (std::uint64_t n = random() % 8; n > 0; --n) {
        const RecordHeader* record = test.ring.Peek();
        ASSERT_EQ(record == nullptr, expected.empty());
        if (record == nullptr) break;
        ASSERT_TRUE(IsWhole(record, expected.front().first, expected.front().second));
        expected.pop_front();
        test.ring.Advance(record);
      }
      test.ring.GiveBack();
    }
  }
  EXPECT_GT(number, 10'000U);
}

TEST(Ring, StressNeverTearsARecord) {
  const auto seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  TestRing test(16'384);
  constexpr std::uint64_t kTries = 400'000;
  std::atomic<bool> finished{false};
  std::uint64_t written = 0;
  std::uint64_t refused = 0;
  std::thread producer([&] {
    std::mt19937_64 random(seed);
    for (std::uint64_t i = 0; i < kTries; ++i) {
      const std::uint64_t number = written + 1;
      // The size follows from the number, so the reader can check it.
      const auto size = static_cast<std::uint32_t>(64 + 8 * (platform::Mix(number ^ seed) % 300));
      if (Write(test.ring, size, number)) {
        ++written;
      } else {
        ++refused;
        std::this_thread::yield();
      }
      if (random() % 4096 == 0) std::this_thread::yield();
    }
    finished.store(true, std::memory_order_release);
  });
  std::mt19937_64 random(seed + 1);
  std::uint64_t read = 0;
  for (bool last = false; !last;) {
    last = finished.load(std::memory_order_acquire);
    test.ring.Refresh();
    while (const RecordHeader* record = test.ring.Peek()) {
      const std::uint64_t number = read + 1;
      const auto size = static_cast<std::uint32_t>(64 + 8 * (platform::Mix(number ^ seed) % 300));
      ASSERT_TRUE(IsWhole(record, size, number));
      test.ring.Advance(record);
      ++read;
      if (random() % 16 == 0) test.ring.GiveBack();
    }
    test.ring.GiveBack();
    if (random() % 64 == 0) std::this_thread::yield();
  }
  producer.join();
  EXPECT_EQ(read, written);
  EXPECT_EQ(written + refused, kTries);
  EXPECT_GT(written, 0U);
}

}  // namespace
}  // namespace spanring::ring
