// Which sanitizer a test runs under, for what cannot work there.
// Threads: none. Memory: none. Errors: none.
// Design: docs/architecture.md
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SPANRING_TEST_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define SPANRING_TEST_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SPANRING_TEST_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SPANRING_TEST_ASAN 1
#endif

namespace spanring {

#if defined(SPANRING_TEST_TSAN)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif
#if defined(SPANRING_TEST_ASAN)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
inline constexpr bool kSanitizer = kThreadSanitizer || kAddressSanitizer;

}  // namespace spanring
