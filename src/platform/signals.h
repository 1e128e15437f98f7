// Keeps signal handlers away from a lock that they would take too.
// Threads: any; concerns the calling thread only.
// Memory: no allocation.
// Errors: none.
// Design: docs/architecture.md#signals
#pragma once

#include <pthread.h>
#include <signal.h>

namespace spanring::platform {

// No handler runs on this thread during its scope: one that starts a span there would wait for a
// lock that the code it interrupted holds. Two system calls, so never on the fast path.
class SignalBlock {
 public:
  SignalBlock() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;

 private:
  sigset_t before_;
};

}  // namespace spanring::platform
