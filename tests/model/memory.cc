#include "model/memory.h"

#include <algorithm>

namespace spanring::model {
namespace {

bool Acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel;
}

bool Releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel;
}

}  // namespace

void Clock::Join(const Clock& other) noexcept {
  for (std::size_t i = 0; i < steps.size(); ++i) steps[i] = std::max(steps[i], other.steps[i]);
  for (std::size_t i = 0; i < oldest.size(); ++i) oldest[i] = std::max(oldest[i], other.oldest[i]);
}

void Memory::Reset() {
  location_count_ = 0;
  failed_spuriously_.fill(false);
  for (auto& stores : stores_) stores.clear();
  clocks_.fill(Clock());
  words_.clear();
}

int Memory::AddLocation(std::uint64_t initial) {
  if (location_count_ == kMostLocations) {
    host_->Fail(Violation::kUnmodelled, "too many locations");
    return 0;
  }
  const int location = location_count_++;
  stores_[location].push_back({initial, 0, ++clocks_[0].steps[0], false, Clock()});
  return location;
}

void Memory::Order(int earlier, int later) { clocks_[later].Join(clocks_[earlier]); }

std::uint64_t Memory::Load(int thread, int location, std::memory_order order) {
  // Coherence and what happened before leave these: the oldest allowed to the newest.
  const std::uint32_t oldest = clocks_[thread].oldest[location];
  const std::uint32_t newest = Newest(location);
  // The newest first: a schedule is read more easily without needless staleness.
  const int back = host_->Choose(static_cast<int>(newest - oldest + 1));
  return ReadStore(thread, location, newest - static_cast<std::uint32_t>(back), order);
}

void Memory::Store(int thread, int location, std::uint64_t value, std::memory_order order) {
  // Modification order is the order of execution. That is no loss where every store is ordered
  // after the one before it.
  if (!HappenedBefore(thread, stores_[location].back())) {
    host_->Fail(Violation::kUnmodelled, "two stores to one location that nothing orders");
  }
  Append(thread, location, value, order, /*update=*/false);
}

std::uint64_t Memory::Exchange(int thread, int location, std::uint64_t value,
                               std::memory_order order) {
  const std::uint64_t before = ReadStore(thread, location, Newest(location), order);
  Append(thread, location, value, order, /*update=*/true);
  return before;
}

std::uint64_t Memory::FetchAdd(int thread, int location, std::uint64_t n, std::memory_order order) {
  return Exchange(thread, location, stores_[location].back().value + n, order);
}

bool Memory::CompareExchange(int thread, int location, std::uint64_t& expected,
                             std::uint64_t desired, std::memory_order success,
                             std::memory_order failure, bool may_fail_spuriously) {
  // A failure is a load of any store allowed that holds something else; a success reads the newest.
  const std::uint32_t newest = Newest(location);
  std::array<std::uint32_t, 32> failures;
  std::size_t count = 0;
  for (std::uint32_t i = clocks_[thread].oldest[location]; i <= newest; ++i) {
    if (stores_[location][i].value == expected) continue;
    if (count == failures.size()) {
      host_->Fail(Violation::kUnmodelled, "too many stores for a compare-exchange");
      break;
    }
    failures[count++] = i;
  }
  const bool can_succeed = stores_[location][newest].value == expected;
  const bool spurious = can_succeed && may_fail_spuriously && !failed_spuriously_[location];
  const std::size_t successes = can_succeed ? 1 : 0;
  const auto chosen = static_cast<std::size_t>(
      host_->Choose(static_cast<int>(successes + count + (spurious ? 1 : 0))));
  if (can_succeed && chosen == 0) {
    ReadStore(thread, location, newest, success);
    Append(thread, location, desired, success, /*update=*/true);
    return true;
  }
  if (chosen - successes == count) {
    failed_spuriously_[location] = true;
    ReadStore(thread, location, newest, failure);
  } else {
    expected = ReadStore(thread, location, failures[chosen - successes], failure);
  }
  return false;
}

void Memory::Read(int thread, const void* at, std::size_t bytes) {
  const std::uint32_t step = ++clocks_[thread].steps[thread];
  const auto begin = reinterpret_cast<std::uintptr_t>(at);
  for (std::uintptr_t word = begin / 8; word <= (begin + bytes - 1) / 8; ++word) {
    Word& state = words_[word];
    if (state.written > clocks_[thread].steps[state.writer]) {
      Race(thread, "reads", state.writer, "wrote");
    }
    state.read[thread] = step;
  }
}

void Memory::Write(int thread, const void* at, std::size_t bytes) {
  const std::uint32_t step = ++clocks_[thread].steps[thread];
  const auto begin = reinterpret_cast<std::uintptr_t>(at);
  for (std::uintptr_t word = begin / 8; word <= (begin + bytes - 1) / 8; ++word) {
    Word& state = words_[word];
    if (state.written > clocks_[thread].steps[state.writer]) {
      Race(thread, "writes", state.writer, "wrote");
    }
    for (int other = 0; other < kMostThreads; ++other) {
      if (state.read[other] > clocks_[thread].steps[other]) Race(thread, "writes", other, "read");
    }
    state.writer = thread;
    state.written = step;
  }
}

std::uint64_t Memory::ReadStore(int thread, int location, std::uint32_t index,
                                std::memory_order order) {
  const StoreRecord& store = stores_[location][index];
  Clock& clock = clocks_[thread];
  ++clock.steps[thread];
  clock.oldest[location] = std::max(clock.oldest[location], index);
  if (Acquires(order)) clock.Join(store.carried);
  return store.value;
}

void Memory::Append(int thread, int location, std::uint64_t value, std::memory_order order,
                    bool update) {
  Clock& clock = clocks_[thread];
  const StoreRecord& before = stores_[location].back();
  if (update && !before.update && !HappenedBefore(thread, before) && before.thread != 0) {
    host_->Fail(Violation::kUnmodelled, "a store and an update that nothing orders");
  }
  StoreRecord store{value, thread, ++clock.steps[thread], update, Clock()};
  clock.oldest[location] = Newest(location) + 1;
  if (update) store.carried = before.carried;  // The release sequence goes on.
  if (Releases(order)) store.carried.Join(clock);
  stores_[location].push_back(store);
}

std::uint32_t Memory::Newest(int location) const {
  return static_cast<std::uint32_t>(stores_[location].size() - 1);
}

bool Memory::HappenedBefore(int thread, const StoreRecord& store) const {
  return store.step <= clocks_[thread].steps[store.thread];
}

void Memory::Race(int thread, const char* first, int other, const char* second) {
  host_->Fail(Violation::kDataRace, "thread " + std::to_string(thread) + " " + first +
                                        " what thread " + std::to_string(other) + " " + second +
                                        ", and nothing orders the two");
}

}  // namespace spanring::model
