#include "import/loader.h"

#include <unistd.h>

#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "flush/span_row.h"

namespace spanring::importer {
namespace {

constexpr std::uint64_t kConnectTimeoutMs = 10'000;
constexpr std::uint64_t kBatchTimeoutMs = 300'000;
constexpr int kMostTries = 6;
constexpr std::uint64_t kFirstPauseMs = 200;  // Doubled each time: 6 s in all.
constexpr char kService[] = "spanring import";

// A connection, a deadlock, a server that starts or has too many clients: it may work soon.
bool MayPass(const pg::Failure& failure) {
  if (failure.kind == pg::FailureKind::kConnection) return true;
  const std::string_view code = failure.sqlstate;
  return code.starts_with("40") || code == "53300" || code == "55P03" || code.starts_with("57P");
}

absl::Status ToStatus(const pg::Failure& failure) {
  if (failure.ok()) return absl::OkStatus();
  if (failure.kind == pg::FailureKind::kConnection) return absl::UnavailableError(failure.message);
  return absl::FailedPreconditionError(failure.message);
}

}  // namespace

void AppendRow(const Span& span, std::vector<std::uint8_t>& out) {
  flush::AppendSpanRow({.start_ns = span.start_ns,
                        .duration_ns = span.duration_ns.value_or(0),
                        .has_end = span.duration_ns.has_value(),
                        .has_execution_id = span.context.execution_id.has_value(),
                        .execution_id = span.context.execution_id.value_or(0),
                        .trace_id = span.trace_id,
                        .span_id = span.span_id,
                        .parent_span_id = span.parent_id,
                        .service = span.service,
                        .operation = span.operation,
                        .status = span.status,
                        .job_id = span.context.job_id,
                        .model_id = span.context.model_id,
                        .region = span.context.region,
                        .error_type = span.error_type,
                        .error_message = span.error_message},
                       span.metadata, out);
}

Loader::Loader(std::string conninfo, std::string version)
    : conninfo_(std::move(conninfo)), version_(std::move(version)), session_(&wake_, &stop_) {}

void Loader::Begin(const TraceId& writer) {
  writer_ = writer;
  introduced_ = false;
  batch_ = {};
  batch_.sequence = 1;
  sent_rows_ = 0;
  loaded_ = {};
  first_rejection_.clear();
  sender_ = std::make_unique<pg::BatchSender>(
      &session_, writer, kBatchTimeoutMs,
      [this](std::uint64_t persisted, std::uint64_t rejected) {
        return Counts(persisted, rejected, /*is_last=*/false);
      },
      [this](const pg::Failure& failure) {
        if (first_rejection_.empty()) first_rejection_ = failure.message;
      });
}

// What was started and rejected so far are absolute: saying them again changes nothing.
std::string Loader::Counts(std::uint64_t persisted, std::uint64_t rejected, bool is_last) const {
  Stats stats;
  stats.dropped_by_reason[static_cast<std::size_t>(DropReason::kRejected)] =
      loaded_.rejected + rejected;
  return absl::StrCat("SELECT trace_writer_counted('", writer_.ToUuid(), "', ", persisted, ", ",
                      sent_rows_ + batch_.rows, ", ", pg::DropsLiteral(stats), ", ",
                      is_last ? "true" : "false", ")");
}

absl::Status Loader::MakePartitions() {
  const std::string statement = days_.Statement();
  if (statement.empty()) return absl::OkStatus();
  const pg::Failure failure = sender_->Run(statement);
  if (failure.kind == pg::FailureKind::kConnection) return ToStatus(failure);
  // Whatever else it was: the default partition takes them.
  days_.Made();
  return absl::OkStatus();
}

absl::Status Loader::Add(const Span& span) {
  AppendRow(span, batch_.data);
  days_.Note(span.start_ns);
  ++batch_.rows;
  if (batch_.rows < kBatchRows && batch_.data.size() < kBatchBytes) return absl::OkStatus();
  return SendBatch();
}

absl::Status Loader::Connect() {
  if (!session_.connected()) {
    const pg::Failure failure = session_.Connect(
        conninfo_, std::chrono::steady_clock::now() + std::chrono::milliseconds(kConnectTimeoutMs));
    if (!failure.ok()) return absl::UnavailableError(failure.message);
  }
  if (introduced_) return absl::OkStatus();
  const absl::Status status =
      ToStatus(sender_->Introduce(kService, static_cast<std::uint64_t>(getpid()), version_));
  introduced_ = status.ok();
  return status;
}

absl::Status Loader::SendBatch() {
  batch_.bytes = batch_.data.size();
  bool in_doubt = false;  // An earlier try may have been committed, its answer lost.
  for (int tried = 1;; ++tried) {
    absl::Status status = Connect();
    if (status.ok()) status = MakePartitions();
    bool again = absl::IsUnavailable(status);
    if (status.ok()) {
      const pg::BatchSender::Result result = sender_->Send(batch_);
      if (result.settled()) {
        const bool was_there = result.failure.kind == pg::FailureKind::kAlreadyThere && !in_doubt;
        (was_there ? loaded_.already_there : loaded_.stored) += result.persisted;
        loaded_.rejected += result.rejected;
        break;
      }
      status = ToStatus(result.failure);
      again = MayPass(result.failure);
      in_doubt = in_doubt || result.failure.kind == pg::FailureKind::kConnection;
    }
    if (!again || tried == kMostTries) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(kFirstPauseMs << (tried - 1)));
  }
  sent_rows_ += batch_.rows;
  ++batch_.sequence;
  batch_.rows = 0;
  batch_.data.clear();
  return absl::OkStatus();
}

absl::Status Loader::Finish() {
  if (batch_.rows > 0) {
    if (absl::Status status = SendBatch(); !status.ok()) return status;
  }
  if (!introduced_) return absl::OkStatus();
  return ToStatus(sender_->Run(Counts(0, 0, /*is_last=*/true)));
}

}  // namespace spanring::importer
