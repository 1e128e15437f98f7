// The folders of writers: one for each process that traces, named by its writer id, in each of two
// roots (rings on tmpfs, journal on disk), and locked while the process lives.
// Threads: one object belongs to one thread at a time.
// Memory: an open folder and its lock are descriptors, closed with the object.
// Errors: absl::Status; FailedPrecondition: the folder is open to others, or not ours.
// Design: docs/reliability.md#files
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform/private_files.h"
#include "spanring/id.h"
#include "spanring/options.h"

namespace spanring::recovery {

// Paths; empty: nothing of that kind is kept in files.
struct Roots {
  std::string rings;
  std::string journal;
};

// SPANRING_RING_DIR and SPANRING_JOURNAL_DIR, or where they are by default.
Roots RootsOf(const Options& options);

// A folder, by more than its path, which may mean another one elsewhere.
struct Place {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::string path;
  // As it is now; none when there is none.
  static Place Of(const std::string& path);
  bool exists() const noexcept { return inode != 0; }
  bool operator==(const Place& other) const noexcept {
    return exists() && device == other.device && inode == other.inode;
  }
};

// Who made a folder: the file `owner`, lines of a word and a text.
struct Owner {
  std::string version;
  std::string service;
  std::string target;  // Whose database: pg::TargetOf.
  std::uint64_t pid = 0;
  std::string boot = {};  // BootId, when it was made.
  // The root in which the writer has its other folder too, if it does. In that of the rings it is
  // added later, before there is a segment.
  Place partner = {};
};
// Which run of this machine it is; "": not known.
std::string BootId();
std::string ToText(const Owner& owner);
Owner OwnerFromText(std::string_view text);

// A writer's folder in one of the roots, with its lock held.
struct Folder {
  platform::Fd root;
  std::string name;
  platform::Fd fd;
  platform::Fd lock;
  std::string root_path;
};

// Makes this process's own.
[[nodiscard]] absl::StatusOr<Folder> MakeFolder(const std::string& root, const TraceId& writer,
                                                const Owner& owner);
// Takes the folder of a process that is gone. NotFound: there is none; Aborted: its owner lives, or
// somebody else has taken it.
[[nodiscard]] absl::StatusOr<Folder> TakeFolder(const std::string& root, const TraceId& writer);
[[nodiscard]] Owner ReadOwner(const Folder& folder);
// Of a process that lives, too; nothing where there is none.
[[nodiscard]] Owner ReadOwner(const std::string& root, const TraceId& writer);
// A reader finds the old one or the new one.
[[nodiscard]] absl::Status WriteOwner(const Folder& folder, const Owner& owner);
// Adds to the owner's text. NotFound: the folder was removed.
[[nodiscard]] absl::Status AddPartner(const Folder& folder, const Place& partner);
// With all that is in it. The lock is held on: who waits for it finds that it is gone.
void RemoveFiles(const Folder& folder) noexcept;

// The writers that have a folder in either root, whether they live or not. Removes what a process
// that was killed while it made a folder left.
std::vector<TraceId> WritersIn(const Roots& roots);
// How long ago something was last put into the folder or taken out of it.
std::int64_t IdleSeconds(const Folder& folder) noexcept;

// True when there is a folder whose owner is gone.
bool AnyOrphan(const Roots& roots);

}  // namespace spanring::recovery
