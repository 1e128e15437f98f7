// One batch to the database, exactly once: its row in the ledger, its rows, and what else belongs
// to its transaction. Threads: one. Memory: the batch is the caller's. Errors: Failure, as Session;
// a batch that fails may be sent again. Design: docs/architecture.md#shipper
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "flush/journal.h"
#include "pg/batch_summary.h"
#include "pg/session.h"
#include "spanring/id.h"
#include "spanring/stats.h"

namespace spanring::pg {

// A batch that the server refuses as a whole this often is given up: it would hold up all the rest.
// Of many rows it is hardly the rows' fault, and an operator may mend the table; of one it may be.
constexpr int MostTries(std::uint32_t rows) noexcept { return rows <= 1 ? 3 : 10; }

class BatchSender {
 public:
  // What is to be done with the writer's counts, in SQL, when `persisted` rows are stored now and
  // `rejected` were refused.
  using CountsStatement =
      std::function<std::string(std::uint64_t persisted, std::uint64_t rejected)>;

  BatchSender(Session* session, const TraceId& writer, std::uint64_t timeout_ms,
              CountsStatement counts, std::function<void(const Failure&)> report,
              std::string role = "", Deadline until = Deadline::max())
      : session_(session),
        writer_(writer.ToUuid()),
        timeout_ms_(timeout_ms),
        counts_(std::move(counts)),
        report_(std::move(report)),
        role_(std::move(role)),
        until_(until) {}

  struct Result {
    Failure failure;  // None, or kAlreadyThere: it is settled.
    std::uint64_t persisted = 0;
    std::uint64_t rejected = 0;
    std::uint64_t sampled_out = 0;
    bool settled() const { return failure.ok() || failure.kind == FailureKind::kAlreadyThere; }
  };
  // `refusals`: how often it was refused as a whole before. At the last one the sums of what is not
  // stored are taken, though no row that is stored was.
  Result Send(const flush::Batch& batch, int refusals = 0);
  // Another may send the last batch in our stead: nothing is known of it here that the database
  // does not know.
  bool MayForget() const noexcept { return refused_in_doubt_ == 0; }
  // What a batch that is given up would have closed.
  Failure Close(const flush::Batch& batch) { return Run(CloseStatement(batch)); }
  // Statements without rows, as one transaction.
  Failure Run(const std::string& sql) { return session_->Send(Limits() + sql, {}, InTime()); }
  // Who the writer is, for trace_writers.
  Failure Introduce(const std::string& service, std::uint64_t pid, const std::string& version);

  Deadline InTime() const;

 private:
  // Sums the batch, and takes out of it what is only summed.
  void Sort(const flush::Batch& batch);
  std::string SumsStatement(std::uint64_t refused) const;
  Failure SendWhole(const flush::Batch& batch);
  Failure SendInPieces(const flush::Batch& batch, std::uint64_t* refused);
  Failure SendPiece(std::string_view rows, std::uint32_t count, std::uint64_t* refused);
  Failure Continue(const std::string& sql) { return session_->Send(sql, {}, InTime()); }
  std::string Limits() const;
  std::string LedgerRow() const;
  std::string CloseStatement(const flush::Batch& batch) const;

  Session* const session_;
  const std::string writer_;
  const std::uint64_t timeout_ms_;
  const CountsStatement counts_;
  const std::function<void(const Failure&)> report_;
  const std::string role_;  // Whose rights each transaction has; "": the login's.
  const Deadline until_;    // Of all statements together, beside the time of each.

  // Of the batch in hand.
  BatchSummary summary_;
  std::uint64_t sequence_ = 0;
  std::string_view rows_;  // Those to be stored: the batch's own, or a copy without the others.
  std::uint32_t row_count_ = 0;
  std::uint32_t sampled_out_ = 0;
  bool is_last_try_ = false;
  std::vector<std::uint8_t> copy_;

  // Of a batch whose commit had no answer: how many of its rows were refused, if it took place.
  std::uint64_t in_doubt_sequence_ = 0;
  std::uint64_t refused_in_doubt_ = 0;
};

// {"ring_full": 12}, in quotes and of type jsonb.
std::string DropsLiteral(const Stats& stats);

}  // namespace spanring::pg
