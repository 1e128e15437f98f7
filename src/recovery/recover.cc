#include "recovery/recover.h"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "flush/row_reader.h"
#include "flush/segment.h"

namespace spanring::recovery {
namespace {

absl::Status ToStatus(const pg::Failure& failure) {
  if (failure.ok()) return absl::OkStatus();
  if (failure.kind == pg::FailureKind::kStopped) return absl::CancelledError(failure.message);
  return absl::UnavailableError(failure.message);
}

std::vector<std::uint64_t> SegmentsIn(const Folder& journal) {
  std::vector<std::uint64_t> sequences;
  if (!journal.fd) return sequences;
  const auto names = platform::NamesIn(journal.fd.get());
  if (!names.ok()) return sequences;
  for (const std::string& name : *names) {
    if (const std::uint64_t sequence = flush::SequenceOf(name); sequence != 0) {
      sequences.push_back(sequence);
    }
  }
  return sequences;
}

// None: there are no rings, or no span was ever in them.
absl::StatusOr<std::optional<WriterImage>> ImageIn(const Folder& rings) {
  if (!rings.fd) return std::optional<WriterImage>();
  auto image = WriterImage::Read(rings.fd.get());
  if (absl::IsNotFound(image.status())) return std::optional<WriterImage>();
  if (!image.ok()) return image.status();
  return std::optional<WriterImage>(std::move(*image));
}

}  // namespace

Recovery::Recovery(const Options& options, bool all)
    : options_(options),
      all_(all),
      roots_(RootsOf(options)),
      target_(pg::TargetOf(options.database_url)),
      session_(&wake_, &stop_) {}

void Recovery::Abort() noexcept {
  // release: pairs with the acquires in Session::Wait and in Run.
  stop_.store(true, std::memory_order_release);
  wake_.Signal();
}

std::vector<Recovered> Recovery::Run() {
  std::vector<Recovered> all;
  for (const TraceId& writer : WritersIn(roots_)) {
    // acquire: pairs with the release in Abort.
    if (stop_.load(std::memory_order_acquire)) break;
    Recovered recovered{.writer = writer, .owner = {}, .status = {}};
    Claim claim;
    recovered.status = Take(writer, &claim, &recovered);
    if (absl::IsAborted(recovered.status) || absl::IsNotFound(recovered.status)) continue;
    if (recovered.status.ok() && !all_ && recovered.owner.target != target_) {
      if (IsForNobody(claim, recovered)) RemoveAll(claim);
      continue;
    }
    if (recovered.status.ok()) recovered.status = Deliver(claim, &recovered);
    all.push_back(std::move(recovered));
    if (absl::IsUnavailable(all.back().status) && !session_.connected()) break;
  }
  session_.Close();
  return all;
}

std::vector<Recovered> Recovery::List() {
  std::vector<Recovered> all;
  for (const TraceId& writer : WritersIn(roots_)) {
    Recovered recovered{.writer = writer, .owner = {}, .status = {}};
    Claim claim;
    recovered.status = Take(writer, &claim, &recovered);
    if (absl::IsNotFound(recovered.status)) continue;
    if (recovered.status.ok()) recovered.status = Survey(claim, &recovered);
    all.push_back(std::move(recovered));
  }
  return all;
}

// The journal first: of two that come at once, one takes both.
absl::Status Recovery::Take(const TraceId& writer, Claim* claim, Recovered* recovered) const {
  absl::Status status = absl::NotFoundError("nothing is left");
  for (const bool is_journal : {true, false}) {
    const std::string& root = is_journal ? roots_.journal : roots_.rings;
    if (root.empty()) continue;
    auto folder = TakeFolder(root, writer);
    if (absl::IsNotFound(folder.status())) continue;
    if (!folder.ok()) return folder.status();
    recovered->owner = ReadOwner(*folder);
    (is_journal ? claim->journal : claim->rings) = std::move(*folder);
    status = absl::OkStatus();
  }
  return status;
}

// Another database's, and nothing in it but an account, which its own processes had a day to fetch.
bool Recovery::IsForNobody(const Claim& claim, Recovered recovered) const {
  constexpr std::int64_t kDay = 86'400;
  for (const Folder* folder : {&claim.rings, &claim.journal}) {
    if (folder->fd && IdleSeconds(*folder) < kDay) return false;
  }
  return Survey(claim, &recovered).ok() &&
         recovered.from_journal + recovered.from_rings + recovered.were_open == 0;
}

absl::Status Recovery::Survey(const Claim& claim, Recovered* recovered) const {
  const std::vector<std::uint64_t> sequences = SegmentsIn(claim.journal);
  absl::StatusOr<std::optional<WriterImage>> read = ImageIn(claim.rings);
  if (!read.ok()) return read.status();
  std::optional<WriterImage>& image = *read;
  for (const std::uint64_t sequence : sequences) {
    const auto segment = flush::ReadSegmentFile(claim.journal.fd.get(), sequence);
    if (!segment.ok()) continue;
    recovered->from_journal += segment->rows;
    if (image) image->Advance(segment->positions);
  }
  if (!image) return absl::OkStatus();
  image->ForEachSpan([&](const ring::RecordHeader&, bool was_open) {
    ++(was_open ? recovered->were_open : recovered->from_rings);
    return true;
  });
  return absl::OkStatus();
}

absl::Status Recovery::Connect() {
  if (session_.connected()) return absl::OkStatus();
  return ToStatus(session_.Connect(
      options_.database_url,
      std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.connect_timeout_ms)));
}

absl::Status Recovery::Maintain() {
  absl::Status status = Connect();
  if (status.ok()) {
    constexpr std::chrono::minutes kLongest{30};
    status = ToStatus(session_.Send(
        absl::StrCat("SET LOCAL statement_timeout = ", std::chrono::milliseconds(kLongest).count(),
                     "; SELECT trace_maintain()"),
        {}, std::chrono::steady_clock::now() + kLongest));
  }
  session_.Close();
  return status;
}

absl::Status Recovery::Deliver(Claim& claim, Recovered* recovered) {
  const std::vector<std::uint64_t> sequences = SegmentsIn(claim.journal);
  absl::StatusOr<std::optional<WriterImage>> read = ImageIn(claim.rings);
  if (!read.ok()) return read.status();
  std::optional<WriterImage>& image = *read;
  if (image) {
    if (absl::Status status = ApplyPositions(claim, sequences, &*image); !status.ok())
      return status;
  }
  const Stats stats = image ? image->Count() : Stats();
  if (!sequences.empty() || stats.started > 0) {
    if (absl::Status status = Connect(); !status.ok()) return status;
    const std::string writer = recovered->writer.ToUuid();
    pg::BatchSender sender(
        &session_, recovered->writer, options_.batch_timeout_ms,
        [&](std::uint64_t persisted, std::uint64_t) {
          return absl::StrCat("SELECT trace_writer_counted('", writer, "', ", persisted, ")");
        },
        [](const pg::Failure& failure) { base::LogError(failure.message); });
    absl::Status status = ToStatus(
        sender.Introduce(recovered->owner.service, recovered->owner.pid, recovered->owner.version));
    if (status.ok()) status = DeliverSegments(claim, sequences, &sender, recovered);
    if (status.ok() && image) status = DeliverImage(*image, &sender, recovered);
    if (status.ok()) {
      status = ToStatus(sender.Run(absl::StrCat("SELECT trace_writer_recovered('", writer, "', ",
                                                image ? absl::StrCat(stats.started) : "NULL", ", ",
                                                pg::DropsLiteral(stats), ")")));
    }
    if (!status.ok()) return status;
  }
  RemoveAll(claim);
  return absl::OkStatus();
}

void Recovery::RemoveAll(const Claim& claim) {
  RemoveFiles(claim.rings);
  RemoveFiles(claim.journal);
}

// Before anything is delivered, and so deleted: what the journal holds is taken out of the rings.
absl::Status Recovery::ApplyPositions(const Claim& claim,
                                      const std::vector<std::uint64_t>& sequences,
                                      WriterImage* image) {
  for (const std::uint64_t sequence : sequences) {
    const auto segment = flush::ReadSegmentFile(claim.journal.fd.get(), sequence);
    if (absl::IsUnavailable(segment.status())) return segment.status();
    if (segment.ok()) image->Advance(segment->positions);
  }
  return image->Advance(claim.rings.fd.get(), {});
}

absl::Status Recovery::Send(const flush::Batch& batch, pg::BatchSender* sender,
                            Recovered* recovered) {
  const pg::BatchSender::Result result = sender->Send(batch);
  if (!result.settled()) return ToStatus(result.failure);
  recovered->rejected += result.rejected;
  if (result.failure.kind == pg::FailureKind::kAlreadyThere) {
    recovered->already_there += result.persisted;
  }
  return absl::OkStatus();
}

absl::Status Recovery::DeliverSegments(const Claim& claim,
                                       const std::vector<std::uint64_t>& sequences,
                                       pg::BatchSender* sender, Recovered* recovered) {
  for (const std::uint64_t sequence : sequences) {
    auto segment = flush::ReadSegmentFile(claim.journal.fd.get(), sequence);
    if (absl::IsUnavailable(segment.status()) || absl::IsFailedPrecondition(segment.status())) {
      return segment.status();
    }
    if (!segment.ok()) {
      base::LogError(absl::StrCat("recovery: ", segment.status().message()));
    } else if (segment->rows > 0) {
      flush::Batch batch;
      batch.sequence = sequence;
      batch.rows = segment->rows;
      batch.data = std::move(segment->data);
      batch.closed = flush::MaybeReported(
          {reinterpret_cast<const char*>(batch.data.data()), batch.data.size()});
      if (absl::Status status = Send(batch, sender, recovered); !status.ok()) return status;
      recovered->from_journal += batch.rows;
    }
    unlinkat(claim.journal.fd.get(), flush::SegmentName(sequence).c_str(), 0);
  }
  return absl::OkStatus();
}

absl::Status Recovery::DeliverImage(const WriterImage& image, pg::BatchSender* sender,
                                    Recovered* recovered) {
  flush::RowEncoder encoder(image.service(), &image.names());
  const platform::TickCalibration clock = image.clock();
  const std::uint64_t batch_rows = image.batch_rows();
  flush::Batch batch;
  batch.sequence = image.next_sequence();
  absl::Status status;
  const auto send = [&] {
    if (batch.rows == 0) return;
    batch.closed =
        flush::MaybeReported({reinterpret_cast<const char*>(batch.data.data()), batch.data.size()});
    status = Send(batch, sender, recovered);
    batch.sequence += 1;
    batch.rows = 0;
    batch.data.clear();
    batch.closed.clear();
  };
  image.ForEachSpan([&](const ring::RecordHeader& record, bool was_open) {
    encoder.Append(record, clock, batch.data);
    ++batch.rows;
    ++(was_open ? recovered->were_open : recovered->from_rings);
    if (batch.rows == batch_rows) send();
    return status.ok();
  });
  if (status.ok()) send();
  return status;
}

}  // namespace spanring::recovery
