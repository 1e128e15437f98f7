// Takes to the database what processes that are gone have left in their folders.
// Threads: one; `stop` and the wake may be set from any.
// Memory: one batch, and the image of one process.
// Errors: absl::Status, and counted in the report; a folder that could not be emptied stays as it
//   is for the next try.
// Design: docs/reliability.md#recovery
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "pg/batch_sender.h"
#include "pg/session.h"
#include "pg/wake.h"
#include "recovery/folders.h"
#include "recovery/writer_image.h"
#include "spanring/options.h"

namespace spanring::recovery {

// What became of one process's folder.
struct Recovered {
  TraceId writer;
  Owner owner;
  std::uint64_t from_journal = 0;
  std::uint64_t from_rings = 0;
  std::uint64_t were_open = 0;
  std::uint64_t already_there = 0;  // Of all those: an earlier recovery had stored them.
  std::uint64_t rejected = 0;
  std::uint64_t damaged = 0;  // Rows of the journal that cannot be read any more.
  // FailedPrecondition: left alone, and what to do about it.
  absl::Status status;
};

class Recovery {
 public:
  // `all`: also what was meant for another database than that of `options`.
  Recovery(const Options& options, bool all = false);
  ~Recovery() = default;
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;

  // Once over all folders. Those whose owner lives are passed over in silence.
  std::vector<Recovered> Run();
  // What Run would take, without taking it. `status` Aborted: the process lives.
  std::vector<Recovered> List();
  // The database's own upkeep, if it is due: trace_maintain().
  absl::Status Maintain();
  // Ends Run and Maintain soon.
  void Abort() noexcept;

 private:
  // The folders of one writer, locked.
  struct Claim {
    Folder rings;
    Folder journal;
  };
  // Towards the database, of one writer.
  struct Account {
    std::string writer;
    Stats stats;  // What its memory says, and the drops of this recovery.
    Recovered* recovered;
    pg::BatchSender* sender;
  };

  absl::Status Take(const TraceId& writer, Claim* claim, Recovered* recovered) const;
  absl::Status CheckPartner(const Claim& claim) const;
  absl::Status Survey(const Claim& claim, Recovered* recovered) const;
  static void RemoveAll(const Claim& claim);
  bool IsForNobody(const Claim& claim, Recovered recovered) const;
  absl::Status Deliver(Claim& claim, Recovered* recovered);
  absl::Status Connect();
  absl::Status ApplyPositions(const Claim& claim, const std::vector<std::uint64_t>& sequences,
                              WriterImage* image);
  absl::Status DeliverAll(const Claim& claim, const std::vector<std::uint64_t>& sequences,
                          const WriterImage* image, Recovered* recovered);
  absl::Status DeliverSegments(const Claim& claim, const std::vector<std::uint64_t>& sequences,
                               Account& account);
  absl::Status DeliverImage(const WriterImage& image, Account& account);
  absl::Status Send(const flush::Batch& batch, Account& account);
  static absl::Status StoreDrops(DropReason reason, std::uint64_t spans, Account& account);
  void BackOff(int failures);

  const Options options_;
  const bool all_;
  const Roots roots_;
  const std::string target_;
  pg::Wake wake_;
  std::atomic<bool> stop_{false};
  pg::Session session_;
};

}  // namespace spanring::recovery
