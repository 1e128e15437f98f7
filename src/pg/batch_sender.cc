#include "pg/batch_sender.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "flush/row_encoder.h"

namespace spanring::pg {
namespace {

std::string CopyInto(const char* table, std::string_view columns) {
  return absl::StrCat("COPY ", table, " (", std::string(columns), ") FROM STDIN (FORMAT binary)");
}
std::string CopySpans() { return CopyInto("trace_spans", flush::kRowColumns); }
std::string CopyOpenSpans() { return CopyInto("trace_open_spans", flush::kOpenRowColumns); }

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? base::Sanitized(name.data()) : "";
}

std::string_view Bytes(const std::vector<std::uint8_t>& data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

// 00000000-0000-0000-0123-456789abcdef
std::string SpanUuid(SpanId id) { return TraceId(0, id.value()).ToUuid(); }

}  // namespace

Deadline BatchSender::InTime() const {
  return std::min(until_,
                  std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms_));
}

BatchSender::Result BatchSender::Send(const flush::Batch& batch, int refusals) {
  if (in_doubt_sequence_ != batch.sequence) refused_in_doubt_ = 0;
  in_doubt_sequence_ = batch.sequence;
  Sort(batch);
  is_last_try_ = refusals + 1 >= MostTries(row_count_);
  Result result;
  std::uint64_t refused = 0;
  result.failure = SendWhole(batch);
  if (result.failure.kind == FailureKind::kBadRow) {
    result.failure = SendInPieces(batch, &refused);
  }
  if (result.failure.kind == FailureKind::kAlreadyThere) refused = refused_in_doubt_;
  if (result.settled()) {
    result.persisted = row_count_ - refused;
    result.rejected = refused;
    result.sampled_out = sampled_out_;
  }
  return result;
}

// For one transaction, so a pooler may stand between. Our time for a batch holds whatever the
// role's own limit is; and a server whose client has vanished must not keep the ledger's key for
// hours.
std::string BatchSender::Limits() const {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(InTime() - std::chrono::steady_clock::now());
  return absl::StrCat(role_.empty() ? "" : "SET LOCAL ROLE " + role_ + "; ",
                      "SET LOCAL statement_timeout = ", std::max<std::int64_t>(left.count(), 1),
                      "; SET LOCAL tcp_keepalives_idle = 30; SET LOCAL tcp_keepalives_interval = 10"
                      "; SET LOCAL tcp_keepalives_count = 3; ");
}

Failure BatchSender::Introduce(const std::string& service, std::uint64_t pid,
                               const std::string& version) {
  Failure failure = Continue("BEGIN; " + Limits());
  if (failure.ok()) {
    failure = session_->Run(
        "SELECT trace_writer_started($1::uuid, $2::text, $3::text, $4::integer, $5::text)",
        {writer_, service, HostName(), absl::StrCat(static_cast<std::int32_t>(pid)), version},
        InTime());
  }
  if (failure.ok()) return Continue("COMMIT");
  if (session_->connected()) static_cast<void>(Continue("ROLLBACK"));
  return failure;
}

void BatchSender::Sort(const flush::Batch& batch) {
  sequence_ = batch.sequence;
  rows_ = Bytes(batch.data);
  row_count_ = batch.rows;
  summary_.Clear();
  sampled_out_ = summary_.Add(rows_);
  if (sampled_out_ == 0) return;
  copy_.clear();
  std::string_view rest = rows_;
  flush::RowView row;
  for (std::string_view from = rest; flush::ReadRow(&rest, &row); from = rest) {
    if (row.is_stored) copy_.insert(copy_.end(), from.begin(), rest.begin());
  }
  copy_.insert(copy_.end(), rest.begin(), rest.end());  // Not readable: the server says why.
  rows_ = Bytes(copy_);
  row_count_ -= sampled_out_;
}

std::string BatchSender::LedgerRow() const {
  return absl::StrCat("INSERT INTO trace_batches (writer_id, sequence, spans, is_summed) VALUES ('",
                      writer_, "', ", sequence_, ", ", row_count_, ", true)");
}

// Last in the transaction: these rows are locked until the commit, and other connections want them
// too.
std::string BatchSender::SumsStatement(std::uint64_t refused) const {
  std::string sql = summary_.Statements() + counts_(row_count_ - refused, refused);
  if (sampled_out_ > 0) {
    absl::StrAppend(&sql, "; SELECT trace_writer_sampled_out('", writer_, "', ", sampled_out_, ")");
  }
  return sql;
}

// All that is spliced in are numbers and ids of our own.
std::string BatchSender::CloseStatement(const flush::Batch& batch) const {
  std::string traces;
  std::string spans;
  const auto add = [&](const flush::SpanKey& key) {
    absl::StrAppend(&traces, traces.empty() ? "" : ",", key.trace_id.ToUuid());
    absl::StrAppend(&spans, spans.empty() ? "" : ",", SpanUuid(key.span_id));
  };
  for (const flush::SpanKey& key : batch.closed) add(key);
  return absl::StrCat("SELECT trace_close_spans('", writer_, "', '{", traces, "}', '{", spans,
                      "}')");
}

Failure BatchSender::SendWhole(const flush::Batch& batch) {
  std::string sql = absl::StrCat(Limits(), LedgerRow(), "; ");
  std::vector<std::string_view> rows;
  if (row_count_ > 0) {
    absl::StrAppend(&sql, CopySpans(), "; ");
    rows.push_back(rows_);
  }
  if (batch.open_rows > 0) {
    absl::StrAppend(&sql, CopyOpenSpans(), "; ");
    rows.push_back(Bytes(batch.open_data));
  }
  if (!batch.closed.empty()) absl::StrAppend(&sql, CloseStatement(batch), "; ");
  absl::StrAppend(&sql, SumsStatement(0));
  return session_->Send(sql, rows, InTime());
}

// The server refused some row of the batch: halve it until that row stands alone, all in the one
// transaction that the ledger guards. When no row at all is taken it is not the rows' fault; those
// that are only summed do not go with them in the end.
Failure BatchSender::SendInPieces(const flush::Batch& batch, std::uint64_t* refused) {
  summary_.Clear();
  if (sampled_out_ > 0) summary_.AddUnstored(Bytes(batch.data));
  // The empty COPY holds the table as it is until the end: a column that somebody changes amid the
  // pieces would make good rows look bad.
  Failure failure = Continue(absl::StrCat("BEGIN; ", Limits(), LedgerRow(), "; ", CopySpans()));
  if (failure.ok() && row_count_ > 0) {
    failure = SendPiece(rows_, row_count_, refused);
    if (failure.ok() && *refused == row_count_ && !(is_last_try_ && sampled_out_ > 0)) {
      failure = {FailureKind::kBadRow, "the server refused every row of a batch", ""};
    }
  }
  // An open span that is refused is not reported: that it is open is news, not data.
  if (failure.ok() && batch.open_rows > 0) {
    const Failure open =
        session_->Send("SAVEPOINT piece; " + CopyOpenSpans() + "; RELEASE SAVEPOINT piece",
                       {Bytes(batch.open_data)}, InTime());
    failure = open.kind == FailureKind::kBadRow
                  ? Continue("ROLLBACK TO SAVEPOINT piece; RELEASE SAVEPOINT piece")
                  : open;
  }
  if (failure.ok() && !batch.closed.empty()) failure = Continue(CloseStatement(batch));
  if (failure.ok()) {
    refused_in_doubt_ = *refused;
    failure = Continue(SumsStatement(*refused) + "; COMMIT");
  }
  if (!failure.ok() && session_->connected()) {
    if (const Failure undone = Continue("ROLLBACK"); !undone.ok()) session_->Close();
  }
  return failure;
}

Failure BatchSender::SendPiece(std::string_view rows, std::uint32_t count, std::uint64_t* refused) {
  Failure failure = session_->Send("SAVEPOINT piece; " + CopySpans() + "; RELEASE SAVEPOINT piece",
                                   {rows}, InTime());
  if (failure.ok()) summary_.Add(rows);
  if (failure.kind != FailureKind::kBadRow) return failure;
  const std::string message = failure.message;
  failure = Continue("ROLLBACK TO SAVEPOINT piece; RELEASE SAVEPOINT piece");
  if (!failure.ok()) return failure;
  if (count == 1) {
    ++*refused;
    if (*refused == 1) {
      report_({FailureKind::kBadRow, absl::StrCat("the server refused a row: ", message), ""});
    }
    return {};
  }
  std::size_t half = 0;
  for (std::uint32_t i = 0; i < count / 2; ++i) half += flush::RowLength(rows.substr(half));
  failure = SendPiece(rows.substr(0, half), count / 2, refused);
  if (!failure.ok()) return failure;
  return SendPiece(rows.substr(half), count - count / 2, refused);
}

std::string DropsLiteral(const Stats& stats) {
  std::string drops = "'{";
  std::string_view separator;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    if (stats.dropped_by_reason[i] == 0) continue;
    absl::StrAppend(&drops, std::string(separator), "\"",
                    std::string(DropReasonName(static_cast<DropReason>(i))),
                    "\": ", stats.dropped_by_reason[i]);
    separator = ", ";
  }
  return drops + "}'::jsonb";
}

}  // namespace spanring::pg
