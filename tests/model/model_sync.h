// The Sync policy under which src/ring runs in the model: see src/ring/sync.h.
// Threads: those of the scenario.
// Memory: none.
// Errors: reported by the explorer.
// Design: docs/memory-model.md#the-model
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "model/explorer.h"

namespace spanring::model {

struct ModelSync {
  template <typename T>
  class Atomic {
   public:
    Atomic() noexcept : Atomic(T{}) {}
    explicit(false) Atomic(T initial) noexcept
        : location_(Explorer::Current().AddLocation(Bits(initial))) {}
    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;

    T load(std::memory_order order) const noexcept {
      return Value(Explorer::Current().Load(location_, order));
    }
    void store(T value, std::memory_order order) noexcept {
      Explorer::Current().Store(location_, Bits(value), order);
    }
    T exchange(T value, std::memory_order order) noexcept {
      return Value(Explorer::Current().Exchange(location_, Bits(value), order));
    }
    T fetch_add(T n, std::memory_order order) noexcept {
      return Value(Explorer::Current().FetchAdd(location_, Bits(n), order));
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                               std::memory_order failure) noexcept {
      return CompareExchange(expected, desired, success, failure, /*weak=*/true);
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order success,
                                 std::memory_order failure) noexcept {
      return CompareExchange(expected, desired, success, failure, /*weak=*/false);
    }

   private:
    static_assert(sizeof(T) <= sizeof(std::uint64_t));

    static std::uint64_t Bits(T value) noexcept {
      std::uint64_t bits = 0;
      std::memcpy(&bits, &value, sizeof(value));
      return bits;
    }
    static T Value(std::uint64_t bits) noexcept {
      T value;
      std::memcpy(&value, &bits, sizeof(value));
      return value;
    }
    bool CompareExchange(T& expected, T desired, std::memory_order success,
                         std::memory_order failure, bool weak) noexcept {
      std::uint64_t bits = Bits(expected);
      const bool done = Explorer::Current().CompareExchange(location_, bits, Bits(desired), success,
                                                            failure, weak);
      expected = Value(bits);
      return done;
    }

    const int location_;
  };

  static void WillRead(const void* at, std::size_t bytes) noexcept {
    Explorer::Current().Read(at, bytes);
  }
  static void WillWrite(void* at, std::size_t bytes) noexcept {
    Explorer::Current().Write(at, bytes);
  }
};

inline void Check(bool holds, const char* what) { Explorer::Current().Check(holds, what); }

}  // namespace spanring::model
