#include "recovery/folders.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/utf8.h"

namespace spanring::recovery {
namespace {

constexpr char kNew[] = ".new-";
constexpr char kLockName[] = "lock";
constexpr char kOwnerName[] = "owner";
constexpr std::size_t kMostOwnerBytes = 8192;
// Beyond it a program that crashes again and again, with no database to take what it leaves, goes
// on without files.
constexpr std::size_t kMostFolders = 500;
constexpr std::time_t kNewForSeconds = 60;

std::string Variable(const char* name) {
  const char* value = secure_getenv(name);
  return value == nullptr ? "" : value;
}

std::string StateHome() {
  if (std::string state = Variable("XDG_STATE_HOME"); !state.empty()) return state + "/spanring";
  if (std::string home = Variable("HOME"); !home.empty()) return home + "/.local/state/spanring";
  return absl::StrCat("/var/tmp/spanring-", geteuid());
}

std::string Chosen(const std::string& setting, const std::string& otherwise) {
  if (setting == "off") return "";
  return setting.empty() ? otherwise : setting;
}

absl::Status Lock(Folder& folder, bool create) {
  auto lock = platform::OpenFileAt(folder.fd.get(), kLockName, create);
  if (!lock.ok()) return lock.status();
  const auto locked = platform::TryLock(*lock);
  if (!locked.ok()) return locked.status();
  if (!*locked) return absl::AbortedError("its owner lives");
  folder.lock = std::move(*lock);
  return absl::OkStatus();
}

// Its owner removed it between our look and our lock.
bool IsGone(const Folder& folder) {
  struct stat status{};
  return fstat(folder.lock.get(), &status) != 0 || status.st_nlink == 0;
}

bool IsOld(int root, const std::string& name) {
  struct stat status{};
  return fstatat(root, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         std::time(nullptr) - status.st_mtime > kNewForSeconds;
}

std::string LineOf(const Place& partner) {
  return absl::StrCat("partner ", partner.device, " ", partner.inode, " ",
                      base::Sanitized(partner.path), "\n");
}

Place PlaceFromText(std::string_view text) {
  Place place;
  const char* const end = text.data() + text.size();
  const auto device = std::from_chars(text.data(), end, place.device);
  if (device.ec != std::errc() || device.ptr == end) return {};
  const auto inode = std::from_chars(device.ptr + 1, end, place.inode);
  if (inode.ec != std::errc() || inode.ptr == end) return {};
  place.path = std::string_view(inode.ptr + 1, end);
  return place;
}

std::vector<TraceId> WritersInRoot(const std::string& path) {
  std::vector<TraceId> writers;
  // Opened, not made: who looks for folders leaves none.
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  const platform::Fd root(fd);
  if (!root) return writers;
  const auto names = platform::NamesIn(root.get());
  if (!names.ok()) return writers;
  for (const std::string& name : *names) {
    if (const auto writer = TraceId::Parse(name); writer && writer->ToUuid() == name) {
      writers.push_back(*writer);
    } else if (name.starts_with(kNew) && IsOld(root.get(), name)) {
      platform::RemoveFolder(root.get(), name);
    }
  }
  return writers;
}

}  // namespace

Roots RootsOf(const Options& options) {
  Roots roots;
  roots.journal = Chosen(options.journal_dir, StateHome() + "/journal");
  roots.rings = Chosen(options.ring_dir, absl::StrCat("/dev/shm/spanring-", geteuid()));
  return roots;
}

Place Place::Of(const std::string& path) {
  struct stat status{};
  if (path.empty() || stat(path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino, path};
}

std::string BootId() {
  constexpr std::size_t kUuidLength = 36;
  const platform::Fd fd(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  std::array<char, kUuidLength> id{};
  if (!fd || read(fd.get(), id.data(), id.size()) != static_cast<ssize_t>(id.size())) return "";
  return {id.data(), id.size()};
}

std::string ToText(const Owner& owner) {
  return absl::StrCat("version ", base::Sanitized(owner.version), "\nservice ",
                      base::Sanitized(owner.service), "\ntarget ", base::Sanitized(owner.target),
                      "\npid ", owner.pid, "\nboot ", base::Sanitized(owner.boot), "\n",
                      owner.partner.exists() ? LineOf(owner.partner) : "");
}

Owner OwnerFromText(std::string_view text) {
  Owner owner;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    const std::string_view word = line.substr(0, space);
    const std::string_view value = line.substr(space + 1);
    if (word == "version") owner.version = value;
    if (word == "service") owner.service = value;
    if (word == "target") owner.target = value;
    if (word == "boot") owner.boot = value;
    if (word == "partner") owner.partner = PlaceFromText(value);
    if (word == "pid") std::from_chars(value.data(), value.data() + value.size(), owner.pid);
  }
  return owner;
}

absl::StatusOr<Folder> MakeFolder(const std::string& root_path, const TraceId& writer,
                                  const Owner& owner) {
  auto root = platform::OpenFolder(root_path);
  if (!root.ok()) return root.status();
  if (const auto names = platform::NamesIn(root->get());
      names.ok() && names->size() > kMostFolders) {
    return absl::UnavailableError(absl::StrCat(root_path, " holds what ", names->size(),
                                               " processes left behind; run: spanring recover"));
  }
  Folder folder{std::move(*root), writer.ToUuid(), {}, {}, root_path};
  // Under another name until it is locked, so that nobody takes it for a dead process's.
  const std::string name = kNew + folder.name;
  auto fd = platform::OpenFolderAt(folder.root.get(), name, /*create=*/true);
  if (!fd.ok()) return fd.status();
  folder.fd = std::move(*fd);
  absl::Status status = Lock(folder, /*create=*/true);
  if (status.ok()) {
    Owner named = owner;
    named.boot = BootId();
    status = WriteOwner(folder, named);
  }
  if (status.ok() &&
      renameat(folder.root.get(), name.c_str(), folder.root.get(), folder.name.c_str()) != 0) {
    status = absl::UnavailableError(
        absl::StrCat("cannot make a folder in ", root_path, ": ", std::strerror(errno)));
  }
  if (status.ok()) return folder;
  platform::RemoveFolder(folder.root.get(), name);
  return status;
}

absl::StatusOr<Folder> TakeFolder(const std::string& root_path, const TraceId& writer) {
  Folder folder{
      platform::Fd(open(root_path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)),
      writer.ToUuid(),
      {},
      {},
      root_path};
  if (!folder.root) return absl::NotFoundError("no such folder");
  auto fd = platform::OpenFolderAt(folder.root.get(), folder.name, /*create=*/false);
  if (!fd.ok()) return fd.status();
  folder.fd = std::move(*fd);
  absl::Status status = Lock(folder, /*create=*/false);
  // Whoever removed the rest was killed before the folder itself.
  if (absl::IsNotFound(status)) status = Lock(folder, /*create=*/true);
  if (!status.ok()) return status;
  if (IsGone(folder)) return absl::NotFoundError("removed meanwhile");
  return folder;
}

Owner ReadOwner(const Folder& folder) {
  const auto file = platform::OpenFileAt(folder.fd.get(), kOwnerName, /*create=*/false);
  if (!file.ok()) return {};
  const auto bytes = platform::ReadFile(*file, kMostOwnerBytes);
  if (!bytes.ok()) return {};
  return OwnerFromText({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
}

Owner ReadOwner(const std::string& root, const TraceId& writer) {
  const platform::Fd fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return {};
  auto folder = platform::OpenFolderAt(fd.get(), writer.ToUuid(), /*create=*/false);
  if (!folder.ok()) return {};
  return ReadOwner(Folder{{}, {}, std::move(*folder), {}, {}});
}

absl::Status WriteOwner(const Folder& folder, const Owner& owner) {
  constexpr char kOwnerNew[] = "owner.new";
  unlinkat(folder.fd.get(), kOwnerNew, 0);  // What a process that was killed amid this left.
  const auto file = platform::OpenFileAt(folder.fd.get(), kOwnerNew, /*create=*/true);
  if (!file.ok()) return file.status();
  const std::string text = ToText(owner);
  absl::Status status = platform::WriteFile(*file, text.data(), text.size(), 0);
  if (status.ok() && renameat(folder.fd.get(), kOwnerNew, folder.fd.get(), kOwnerName) != 0) {
    status = absl::UnavailableError(
        absl::StrCat("cannot write an owner's file: ", std::strerror(errno)));
  }
  if (!status.ok()) unlinkat(folder.fd.get(), kOwnerNew, 0);
  return status;
}

// Into the page that the file has: a full tmpfs must not keep the journal from being opened.
absl::Status AddPartner(const Folder& folder, const Place& partner) {
  const auto file = platform::OpenFileAt(folder.fd.get(), kOwnerName, /*create=*/false);
  if (!file.ok()) return file.status();
  const auto before = platform::ReadFile(*file, kMostOwnerBytes);
  if (!before.ok()) return before.status();
  // On a line of its own, whatever an earlier try left.
  const std::string line = absl::StrCat("\n", LineOf(partner));
  return platform::WriteFile(*file, line.data(), line.size(), before->size());
}

void RemoveFiles(const Folder& folder) noexcept {
  if (folder.fd) platform::RemoveFolder(folder.root.get(), folder.name);
}

std::vector<TraceId> WritersIn(const Roots& roots) {
  std::vector<TraceId> writers;
  for (const std::string* path : {&roots.journal, &roots.rings}) {
    if (path->empty()) continue;
    for (const TraceId& writer : WritersInRoot(*path)) {
      if (std::find(writers.begin(), writers.end(), writer) == writers.end()) {
        writers.push_back(writer);
      }
    }
  }
  return writers;
}

std::int64_t IdleSeconds(const Folder& folder) noexcept {
  struct stat status{};
  return fstat(folder.fd.get(), &status) == 0 ? std::time(nullptr) - status.st_mtime : 0;
}

bool AnyOrphan(const Roots& roots) {
  for (const std::string* path : {&roots.journal, &roots.rings}) {
    if (path->empty()) continue;
    for (const TraceId& writer : WritersInRoot(*path)) {
      // The lock is let go at once.
      if (TakeFolder(*path, writer).ok()) return true;
    }
  }
  return false;
}

}  // namespace spanring::recovery
