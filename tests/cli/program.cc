#include "program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace spanring::cli {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::string Contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {(std::istreambuf_iterator<char>(file)), {}};
}

int Start(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
          const std::string& in, const std::string& out, const std::string& err) {
  std::vector<std::string> command = {std::getenv("SPANRING_PROGRAM")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent",
                                        "LANG=C.UTF-8", "SPANRING_INVOKED_AS=spanring"};
  variables.insert(variables.end(), environment.begin(), environment.end());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, command[0].c_str(), &actions, nullptr,
                                Pointers(command).data(), Pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? pid : -1;
}

}  // namespace

Outcome RunProgram(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& environment, const std::string& input) {
  std::string folder = (std::filesystem::temp_directory_path() / "spanring-cli-XXXXXX").string();
  Outcome outcome;
  if (mkdtemp(folder.data()) == nullptr) return outcome;
  const std::string out = folder + "/out";
  const std::string err = folder + "/err";
  const pid_t pid = Start(arguments, environment, input, out, err);
  int status = 0;
  rusage usage = {};
  if (pid > 0 && wait4(pid, &status, 0, &usage) == pid) {
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    outcome.out = Contents(out);
    outcome.err = Contents(err);
    outcome.most_memory_kib = usage.ru_maxrss;
  }
  std::filesystem::remove_all(folder);
  return outcome;
}

int StartProgram(const std::vector<std::string>& arguments,
                 const std::vector<std::string>& environment) {
  return Start(arguments, environment, "/dev/null", "/dev/null", "/dev/null");
}

}  // namespace spanring::cli
