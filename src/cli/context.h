// What every command is given, how it prints, and the program's exit codes.
// Threads: one command runs at a time, on the main thread.
// Memory: plain values.
// Errors: commands return StatusOr<int>; main turns a Status into one line and an exit code.
// Design: docs/architecture.md
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "cli/render/style.h"

namespace spanring::cli {

// Exit codes are an interface: never renumber.
inline constexpr int kExitOk = 0;
inline constexpr int kExitBadAnswer = 1;  // unknown execution, problems found
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNoDatabase = 3;  // unreachable, or the schema is missing

struct GlobalOptions {
  std::string database;  // URL, connection string or a database's name; "" = see Resolve
  std::string state_dir;
  std::string color = "auto";
  std::size_t width = 0;  // 0 = the terminal's
  bool json = false;
};

struct Context {
  GlobalOptions options;
  Style style;
  std::size_t width = 100;
  std::string invoked_as = "spanring";  // for commands that a person may copy
  bool progress = false;                // stderr is a terminal

  // `command` as a person would type it, towards the same database where that is a plain name.
  [[nodiscard]] std::string Copyable(std::string_view command) const;
};

// SPANRING_STATE_DIR, $XDG_STATE_HOME/spanring, ~/.local/state/spanring.
[[nodiscard]] std::string DefaultStateDir();

// --width, else the terminal's, else 100.
[[nodiscard]] std::size_t ChooseWidth(std::size_t wanted, int fd);

void Print(std::string_view line);
void Print(const std::vector<std::string>& lines);

// On stderr: `spanring: message`.
void PrintNote(std::string_view message);

// 1 for NotFound, 2 for InvalidArgument, 3 for Unavailable and FailedPrecondition, else 1.
[[nodiscard]] int ExitCodeOf(const absl::Status& status);

}  // namespace spanring::cli
