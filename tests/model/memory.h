// What atomic and plain memory may do under the C++ rules for relaxed, acquire and release.
// Threads: those of the model, by number; 0 sets up and finishes. One real thread.
// Memory: every store of an execution is kept.
// Errors: given to the host, by kind.
// Design: docs/memory-model.md#the-model
//
// Each location keeps its stores in modification order. Each thread keeps a clock: which steps of
// every thread happened before its next one, and the oldest store of each location that it may
// still read. A release store carries the clock of its thread; an acquire load that reads it joins
// that clock; an update (read-modify-write) reads the newest store and hands on what it carried.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace spanring::model {

inline constexpr int kMostThreads = 5;
inline constexpr int kMostLocations = 16;

enum class Violation {
  kNone,
  kDataRace,     // Two accesses to plain memory, one of them a write, that nothing orders.
  kCheckFailed,  // The scenario saw what it says must never be.
  kUnmodelled,   // Something that the model does not follow; the result would mean nothing.
};

// Who decides, and who is told.
class MemoryHost {
 public:
  // One of 0 to count - 1; every one in turn, over the executions.
  virtual int Choose(int count) = 0;
  virtual void Fail(Violation kind, const std::string& what) = 0;

 protected:
  ~MemoryHost() = default;
};

struct Clock {
  std::array<std::uint32_t, kMostThreads> steps{};
  std::array<std::uint32_t, kMostLocations> oldest{};

  void Join(const Clock& other) noexcept;
};

class Memory {
 public:
  explicit Memory(MemoryHost* host) : host_(host) {}

  // Forgets everything: the next execution.
  void Reset();
  // Locations are numbered in the order of their construction.
  int AddLocation(std::uint64_t initial);
  // Thread `later` goes on after everything that `earlier` did.
  void Order(int earlier, int later);

  std::uint64_t Load(int thread, int location, std::memory_order order);
  void Store(int thread, int location, std::uint64_t value, std::memory_order order);
  // An update that always takes place; gives the value before.
  std::uint64_t Exchange(int thread, int location, std::uint64_t value, std::memory_order order);
  std::uint64_t FetchAdd(int thread, int location, std::uint64_t n, std::memory_order order);
  // One that may fail. `may_fail_spuriously`, as a weak one: once per location, so that it ends.
  bool CompareExchange(int thread, int location, std::uint64_t& expected, std::uint64_t desired,
                       std::memory_order success, std::memory_order failure,
                       bool may_fail_spuriously);

  // Plain memory, by words of 8 bytes.
  void Read(int thread, const void* at, std::size_t bytes);
  void Write(int thread, const void* at, std::size_t bytes);

 private:
  struct StoreRecord {
    std::uint64_t value;
    int thread;
    std::uint32_t step;
    bool update;
    Clock carried;  // Nothing, where relaxed.
  };
  struct Word {
    int writer = 0;
    std::uint32_t written = 0;
    std::array<std::uint32_t, kMostThreads> read{};
  };

  std::uint64_t ReadStore(int thread, int location, std::uint32_t index, std::memory_order order);
  void Append(int thread, int location, std::uint64_t value, std::memory_order order, bool update);
  std::uint32_t Newest(int location) const;
  bool HappenedBefore(int thread, const StoreRecord& store) const;
  void Race(int thread, const char* first, int other, const char* second);

  MemoryHost* const host_;
  int location_count_ = 0;
  std::array<bool, kMostLocations> failed_spuriously_{};
  std::array<std::vector<StoreRecord>, kMostLocations> stores_;
  std::array<Clock, kMostThreads> clocks_;
  std::unordered_map<std::uintptr_t, Word> words_;
};

}  // namespace spanring::model
