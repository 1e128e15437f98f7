// Seeds from the kernel, and the bit mixer that makes ids from a counter.
// Threads: any. Memory: no allocation. Errors: without getrandom(2), clocks and addresses serve.
// Design: docs/architecture.md#identity
#pragma once

#include <cstdint>

namespace spanring::platform {

std::uint64_t RandomSeed() noexcept;

// A bijection of 64 bits whose output looks random: the finaliser of SplitMix64 (Steele, Lea and
// Flood, OOPSLA 2014).
constexpr std::uint64_t Mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace spanring::platform
