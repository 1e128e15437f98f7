#include "cli/context.h"

#include <pwd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "cli/render/text.h"

namespace spanring::cli {

std::string Context::Copyable(std::string_view command) const {
  std::string line = absl::StrCat(invoked_as, " ", std::string(command));
  const std::string& database = options.database;
  const bool plain = !database.empty() && database.find_first_of("=:/ '") == std::string::npos;
  return plain && !command.starts_with("dev ") ? absl::StrCat(line, " -d ", database) : line;
}

std::string DefaultStateDir() {
  const char* chosen = std::getenv("SPANRING_STATE_DIR");
  if (chosen != nullptr && chosen[0] != '\0') return chosen;
  const char* state_home = std::getenv("XDG_STATE_HOME");
  // The XDG specification has relative paths ignored.
  if (state_home != nullptr && state_home[0] == '/') return absl::StrCat(state_home, "/spanring");
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] != '/') {
    const passwd* entry = getpwuid(geteuid());
    home = entry != nullptr ? entry->pw_dir : "/tmp";
  }
  return absl::StrCat(home, "/.local/state/spanring");
}

std::size_t ChooseWidth(std::size_t wanted, int fd) {
  winsize size = {};
  if (wanted == 0 && ioctl(fd, TIOCGWINSZ, &size) == 0) wanted = size.ws_col;
  return wanted == 0 ? 100 : std::clamp<std::size_t>(wanted, 40, 1000);
}

void Print(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

void Print(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) Print(line);
}

void PrintNote(std::string_view message) {
  std::fflush(stdout);
  const std::string line = "spanring: " + Escape(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kFailedPrecondition:
      return kExitNoDatabase;
    default:
      return kExitBadAnswer;
  }
}

}  // namespace spanring::cli
