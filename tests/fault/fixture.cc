#include "fault/fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "absl/strings/str_cat.h"

namespace spanring::test {

std::string FindProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(absl::StrCat(path == nullptr ? "" : path, ":/usr/bin:/usr/sbin"));
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string program = absl::StrCat(folder, "/", name);
    if (folder.starts_with('/') && access(program.c_str(), X_OK) == 0) return program;
  }
  return "";
}

dev::Identity ServerUser() {
  auto identity = dev::ServerIdentity();
  if (!identity.ok()) throw std::runtime_error(identity.status().ToString());
  return *std::move(identity);
}

ServerFolder::ServerFolder(const std::string& purpose)
    : path_(absl::StrCat(std::filesystem::temp_directory_path().string(), "/spanring-", purpose,
                         "-XXXXXX")) {
  const dev::Identity user = ServerUser();
  if (mkdtemp(path_.data()) == nullptr || chown(path_.c_str(), user.uid, user.gid) != 0) {
    throw std::runtime_error("cannot make " + path_);
  }
}

ServerFolder::~ServerFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

void ServerFolder::Write(const std::string& name, const std::string& text) const {
  const dev::Identity user = ServerUser();
  const std::string path = *this / name;
  std::ofstream(path) << text;
  if (chmod(path.c_str(), 0600) != 0 || chown(path.c_str(), user.uid, user.gid) != 0) {
    throw std::runtime_error("cannot write " + path);
  }
}

void RunIn(const ServerFolder& folder, const std::vector<std::string>& arguments) {
  const auto finished = dev::Run({.arguments = arguments,
                                  .environment = {"PATH=/usr/bin:/bin", "LC_ALL=C"},
                                  .working_directory = folder.path()},
                                 ServerUser());
  if (!finished.ok()) throw std::runtime_error(finished.status().ToString());
  if (finished->exit_code != 0) throw std::runtime_error(arguments[0] + ": " + finished->output);
}

}  // namespace spanring::test
