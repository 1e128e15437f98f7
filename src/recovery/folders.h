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

// Who made a folder: the file `owner`, lines of a word and a text.
struct Owner {
  std::string version;
  std::string service;
  std::string target;  // Whose database: pg::TargetOf.
  std::uint64_t pid = 0;
};
std::string ToText(const Owner& owner);
Owner OwnerFromText(std::string_view text);

// A writer's folder in one of the roots, with its lock held.
struct Folder {
  platform::Fd root;
  std::string name;
  platform::Fd fd;
  platform::Fd lock;
};

// Makes this process's own.
[[nodiscard]] absl::StatusOr<Folder> MakeFolder(const std::string& root, const TraceId& writer,
                                                const Owner& owner);
// Takes the folder of a process that is gone. NotFound: there is none; Aborted: its owner lives, or
// somebody else has taken it.
[[nodiscard]] absl::StatusOr<Folder> TakeFolder(const std::string& root, const TraceId& writer);
[[nodiscard]] Owner ReadOwner(const Folder& folder);
// A reader finds the old one or the new one.
[[nodiscard]] absl::Status WriteOwner(const Folder& folder, const Owner& owner);
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
