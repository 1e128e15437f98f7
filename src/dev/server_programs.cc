#include "dev/server_programs.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "dev/process.h"

namespace spanring::dev {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> PathFolders() {
  const char* path = std::getenv("PATH");
  std::istringstream stream(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  std::vector<std::string> folders;
  for (std::string folder; std::getline(stream, folder, ':');) {
    if (!folder.empty() && folder.front() == '/') folders.push_back(folder);
  }
  return folders;
}

// As the caller, with PATH only: pg_config needs nothing else.
std::string RunForLine(const std::string& program, const std::string& argument) {
  const absl::StatusOr<Finished> finished =
      Run({.arguments = {program, argument}, .environment = {"PATH=/usr/bin:/bin", "LC_ALL=C"}},
          IdentityOf(geteuid(), getegid()));
  if (!finished.ok() || finished->exit_code != 0) return "";
  return finished->output.substr(0, finished->output.find('\n'));
}

void AppendDebianFolders(std::vector<std::string>* candidates) {
  std::vector<std::pair<int, std::string>> versions;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    const int major = std::atoi(entry.path().filename().c_str());
    if (major > 0) versions.emplace_back(major, (entry.path() / "bin").string());
  }
  std::sort(versions.rbegin(), versions.rend());
  for (auto& [major, folder] : versions) candidates->push_back(std::move(folder));
}

std::vector<std::string> Candidates() {
  std::vector<std::string> candidates;
  if (const char* chosen = std::getenv("SPANRING_PG_BINDIR")) candidates.emplace_back(chosen);
  const std::vector<std::string> folders = PathFolders();
  for (const std::string& folder : folders) {
    const std::string pg_config = folder + "/pg_config";
    if (access(pg_config.c_str(), X_OK) != 0) continue;
    candidates.push_back(RunForLine(pg_config, "--bindir"));
    break;
  }
  AppendDebianFolders(&candidates);
  candidates.insert(candidates.end(), folders.begin(), folders.end());
  return candidates;
}

}  // namespace

int ParseServerMajor(const std::string& version_line) {
  const std::size_t found = version_line.find("(PostgreSQL) ");
  if (found == std::string::npos) return 0;
  return std::max(0, std::atoi(version_line.c_str() + found + 13));
}

absl::StatusOr<ServerPrograms> FindServerPrograms(int major) {
  for (const std::string& folder : Candidates()) {
    const std::string postgres = folder + "/postgres";
    const std::string initdb = folder + "/initdb";
    if (folder.empty() || access(postgres.c_str(), X_OK) != 0 ||
        access(initdb.c_str(), X_OK) != 0) {
      continue;
    }
    const int found = ParseServerMajor(RunForLine(postgres, "--version"));
    if (found > 0 && (major == 0 || found == major)) {
      return ServerPrograms{.directory = folder, .major = found};
    }
  }
  if (major == 0) {
    return absl::FailedPreconditionError(
        "no PostgreSQL server on this machine: apt-get install postgresql, "
        "or set SPANRING_PG_BINDIR to the folder that holds initdb and postgres");
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the data were made by PostgreSQL ", major, ", which is not on this machine: ",
                   "apt-get install postgresql-", major, ", or choose another --state"));
}

}  // namespace spanring::dev
