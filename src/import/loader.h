// Sends the spans of a file to the database, in batches that are the same whenever the same content
// is read: the ledger then tells what is there already.
// Threads: one.
// Memory: one batch, of about kBatchBytes at most.
// Errors: absl::Status; Unavailable after tries, FailedPrecondition where an operator must act, the
//   message ends with the SQLSTATE in brackets where there is one. What was sent stays, and the
//   same content sent again goes on behind it.
// Design: docs/operations.md#import
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "flush/journal.h"
#include "import/days.h"
#include "import/span.h"
#include "pg/batch_sender.h"
#include "pg/session.h"
#include "pg/wake.h"

namespace spanring::importer {

// Where batches are cut. Changing them makes an import that was begun before begin anew.
inline constexpr std::uint32_t kBatchRows = 10'000;
inline constexpr std::size_t kBatchBytes = std::size_t{8} * 1024 * 1024;

struct Loaded {
  std::uint64_t stored = 0;         // By this call.
  std::uint64_t already_there = 0;  // By an earlier one.
  std::uint64_t rejected = 0;       // By the server.
};

class Loader {
 public:
  Loader(std::string conninfo, std::string version);
  ~Loader() = default;
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // For one content after another.
  void Begin(const TraceId& writer);
  [[nodiscard]] absl::Status Add(const Span& span);
  // The last batch, and the account.
  [[nodiscard]] absl::Status Finish();

  const Loaded& loaded() const { return loaded_; }
  // The server's word on the first row that it rejected.
  const std::string& first_rejection() const { return first_rejection_; }

 private:
  absl::Status Connect();
  absl::Status MakePartitions();
  absl::Status SendBatch();
  std::string Counts(std::uint64_t persisted, std::uint64_t rejected, bool is_last) const;

  const std::string conninfo_;
  const std::string version_;
  pg::Wake wake_;
  std::atomic<bool> stop_{false};
  pg::Session session_;
  TraceId writer_;
  std::unique_ptr<pg::BatchSender> sender_;
  bool introduced_ = false;
  flush::Batch batch_;
  std::uint64_t sent_rows_ = 0;  // Of the batches before.
  Days days_;
  Loaded loaded_;
  std::string first_rejection_;
};

// The row of a span, as the loader sends it.
void AppendRow(const Span& span, std::vector<std::uint8_t>& out);

}  // namespace spanring::importer
