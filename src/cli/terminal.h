// The terminal of a command that shows something live, given back however the command ends.
// Threads: the main thread; one LiveScreen at a time.
// Memory: what the signal handlers need is static.
// Errors: none; where there is no terminal nothing is done.
// Design: docs/operations.md#looking
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace spanring::cli {

// SIGINT and SIGTERM end the process at once with status 0: for what prints whole lines and has
// nothing to lose.
void EndQuietlyOnSignals();

// The alternate screen. It is left, and what is typed is echoed again, when the object goes, on
// SIGINT, SIGTERM, SIGHUP and SIGQUIT, and while the process is stopped by Ctrl-Z.
class LiveScreen {
 public:
  LiveScreen();
  ~LiveScreen();
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  [[nodiscard]] static std::size_t Height();
  // Replaces what is shown; lines beyond the height are left out.
  void Show(const std::vector<std::string>& lines);
  // Waits; false: q was typed, or there is nobody to type any more.
  [[nodiscard]] bool Wait(std::chrono::milliseconds time);
};

}  // namespace spanring::cli
