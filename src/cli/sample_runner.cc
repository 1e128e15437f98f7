#include "cli/sample_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"

extern char** environ;

namespace spanring::cli {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr char kProgram[] = "spanring-sample-runner";

std::vector<std::string> RunnerEnvironment(const std::string& database_url) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable = *entry;
    // libpq's own variables would change what DATABASE_URL leaves open; and the demo's executions
    // are stored whole.
    if (variable.starts_with("DATABASE_URL=") || variable.starts_with("ENABLE_DB_TRACING=") ||
        variable.starts_with("PG") || variable.starts_with("SPANRING_SAMPLE_RATIO=") ||
        variable.starts_with("OTEL_TRACES_SAMPLER")) {
      continue;
    }
    variables.emplace_back(variable);
  }
  variables.push_back("ENABLE_DB_TRACING=true");
  variables.push_back("DATABASE_URL=" + database_url);
  return variables;
}

absl::StatusOr<pid_t> Spawn(const std::string& program, const std::string& database_url,
                            int output_fd) {
  std::vector<std::string> variables = RunnerEnvironment(database_url);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);
  std::string name = program;
  char* argv[] = {name.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv, envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return pid;
  return absl::FailedPreconditionError(
      absl::StrCat("cannot start ", program, ": ", std::strerror(error)));
}

// True at the end of the output, false at the deadline.
bool Collect(int fd, milliseconds deadline, const std::function<void(milliseconds)>& tick,
             std::string* output) {
  const Clock::time_point start = Clock::now();
  for (;;) {
    const auto gone = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
    if (gone >= deadline) return false;
    tick(gone);
    pollfd waiting = {.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, 200) <= 0) continue;
    char buffer[4096];
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    output->append(buffer, static_cast<std::size_t>(got));
    // Only the last line counts; a chatty runner must not eat the memory.
    if (output->size() > (1U << 21)) output->erase(0, output->size() - (1U << 20));
  }
}

}  // namespace

absl::StatusOr<std::string> FindSampleRunner(const std::string& chosen) {
  std::vector<fs::path> candidates;
  std::error_code error;
  if (!chosen.empty()) {
    candidates.push_back(fs::absolute(chosen, error));
  } else {
    const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
    candidates = {folder.parent_path() / "libexec/spanring" / kProgram,
                  folder.parent_path().parent_path() / "docs/snippets" / kProgram};
  }
  std::string tried;
  for (const fs::path& candidate : candidates) {
    if (access(candidate.c_str(), X_OK) == 0 && fs::is_regular_file(candidate, error)) {
      return candidate.string();
    }
    absl::StrAppend(&tried, tried.empty() ? "" : ", ", candidate.string());
  }
  return absl::FailedPreconditionError(
      absl::StrCat("no sample runner at ", tried, ": build it, or give --runner PATH"));
}

absl::StatusOr<RunnerReport> ParseRunnerReport(const std::string& output) {
  std::string_view text = output;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  const std::size_t line_start = text.rfind('\n');
  if (line_start != std::string_view::npos) text.remove_prefix(line_start + 1);
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto is_number = [&json](const char* key) {
    return json.contains(key) && json[key].is_number();
  };
  if (!json.is_object()) {
    return absl::InternalError("the sample runner's last line is not its report in JSON");
  }
  for (const char* key : {"span_cost_off_ns", "span_cost_on_ns", "spans_started", "spans_persisted",
                          "spans_dropped", "executions"}) {
    if (!is_number(key)) {
      return absl::InternalError(absl::StrCat("the sample runner's report lacks ", key));
    }
  }
  RunnerReport report;
  report.span_cost_off_ns = json["span_cost_off_ns"].get<double>();
  report.span_cost_on_ns = json["span_cost_on_ns"].get<double>();
  report.spans_started = json["spans_started"].get<std::int64_t>();
  report.spans_persisted = json["spans_persisted"].get<std::int64_t>();
  report.spans_dropped = json["spans_dropped"].get<std::int64_t>();
  report.executions = json["executions"].get<std::int64_t>();
  if (json.contains("failed_executions") && json["failed_executions"].is_array()) {
    for (const nlohmann::json& id : json["failed_executions"]) {
      if (id.is_number_integer()) report.failed_executions.push_back(id.get<std::int64_t>());
    }
  }
  return report;
}

absl::StatusOr<RunnerReport> RunSampleRunner(const std::string& program,
                                             const std::string& database_url, milliseconds deadline,
                                             const std::function<void(milliseconds)>& tick) {
  int channel[2];
  if (pipe2(channel, O_CLOEXEC) != 0) {
    return absl::InternalError(absl::StrCat("pipe: ", std::strerror(errno)));
  }
  absl::StatusOr<pid_t> pid = Spawn(program, database_url, channel[1]);
  close(channel[1]);
  std::string output;
  bool ended = false;
  if (pid.ok()) ended = Collect(channel[0], deadline, tick, &output);
  close(channel[0]);
  if (!pid.ok()) return pid.status();
  if (!ended) kill(*pid, SIGKILL);
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) {
    return absl::DeadlineExceededError(absl::StrCat(
        program, " did not end within ", deadline.count() / 1000, " s: see its messages above"));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return absl::InternalError(absl::StrCat(
        program, WIFEXITED(status) ? " ended with status " : " was killed by signal ",
        WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), ": see its messages above"));
  }
  return ParseRunnerReport(output);
}

}  // namespace spanring::cli
