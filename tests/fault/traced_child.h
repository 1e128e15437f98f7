// A traced process that a test starts, talks to and kills, with its files in folders of the test's.
// Threads: one. Memory: owns the folders; the child is killed with the object.
// Errors: a failure of set-up throws.
// Design: docs/reliability.md
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "recovery/recover.h"
#include "spanring/spanring.h"

namespace spanring::test {

// Where the processes of one test keep rings and journal.
class WriterFolders {
 public:
  WriterFolders();
  ~WriterFolders();
  WriterFolders(const WriterFolders&) = delete;
  WriterFolders& operator=(const WriterFolders&) = delete;

  std::string rings() const { return rings_; }
  std::string journal() const { return journal_; }
  // Options of a process that traces towards `conninfo`.
  Options OptionsFor(const std::string& conninfo) const;
  // Processes' folders in both.
  std::size_t Left() const;
  // Of all processes, in both or with a name that contains `part`.
  std::vector<std::filesystem::path> Files(std::string_view part = "") const;

 private:
  std::string rings_;
  std::string journal_;
};

// What was recovered, summed up; a folder that could not be emptied is the test's failure.
recovery::Recovered RecoverAll(const Options& options);

class TracedChild {
 public:
  // Memory that both see, for whatever a test counts in it.
  using Shared = std::uint64_t*;
  static constexpr std::size_t kSharedWords = 4096;
  // Runs in the child, which has a tracer, and ends it with the code returned. `say` tells the
  // parent that a point is reached.
  using Body = std::function<int(Tracer& tracer, Shared shared, const std::function<void()>& say)>;

  TracedChild(const Options& options, const Body& body);
  ~TracedChild();
  TracedChild(const TracedChild&) = delete;
  TracedChild& operator=(const TracedChild&) = delete;

  // Waits until the child has said so.
  void Await();
  void Signal(int signal_number) const;
  // Kills it, and waits until it is gone.
  void Kill();
  // Waits for its end: its exit code, or 1000 and its signal.
  int Join();
  Shared shared() const { return shared_; }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int said_ = -1;
  Shared shared_ = nullptr;
};

}  // namespace spanring::test
