#include "recovery/recover.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "flush/row_reader.h"
#include "flush/segment.h"

namespace spanring::recovery {
namespace {

// As the shipper's.
constexpr std::int64_t kFirstPauseMs = 100;
// Where rings go with their container, as their tmpfs does, the journal must not wait for them for
// ever; who sees both comes sooner.
constexpr std::int64_t kRingsAreWaitedForSeconds = 3600;

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
      if (CheckPartner(claim).ok() && IsForNobody(claim, recovered)) RemoveAll(claim);
      continue;
    }
    if (recovered.status.ok()) recovered.status = CheckPartner(claim);
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
    for (const std::string* root : {&roots_.rings, &roots_.journal}) {
      if (absl::IsAborted(recovered.status) && recovered.owner.pid == 0 && !root->empty()) {
        recovered.owner = ReadOwner(*root, writer);
      }
    }
    if (recovered.status.ok()) recovered.status = Survey(claim, &recovered);
    if (recovered.status.ok()) recovered.status = CheckPartner(claim);
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

// Rings without the journal would account for its spans as lost, and a journal without the rings
// takes the positions with it up to which it holds them: one alone is delivered only if the other
// is gone, and not merely somewhere that this process does not see.
absl::Status Recovery::CheckPartner(const Claim& claim) const {
  if (claim.rings.fd && claim.journal.fd) return absl::OkStatus();
  const bool has_rings = static_cast<bool>(claim.rings.fd);
  const Folder& folder = has_rings ? claim.rings : claim.journal;
  const Owner owner = ReadOwner(folder);
  if (!owner.partner.exists()) return absl::OkStatus();
  const std::string& root = has_rings ? roots_.journal : roots_.rings;
  if (Place::Of(root) == owner.partner) return absl::OkStatus();
  // A tmpfs ends with its machine.
  if (!has_rings && (owner.boot != BootId() || IdleSeconds(folder) > kRingsAreWaitedForSeconds)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      has_rings ? "its journal is in another folder than is looked in here: "
                : "its rings are in "
                  "another folder than is looked in here: ",
      owner.partner.path, "; run where that is seen: ",
      has_rings ? "SPANRING_JOURNAL_DIR=" : "SPANRING_RING_DIR=", owner.partner.path,
      " spanring recover",
      has_rings
          ? absl::StrCat("; if it is gone for good, remove ", folder.root_path, "/", folder.name)
          : "; an hour after its end the journal is delivered alone"));
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
  if (absl::Status status = Connect(); !status.ok()) return status;
  const absl::Status status = DeliverAll(claim, sequences, image ? &*image : nullptr, recovered);
  if (status.ok()) RemoveAll(claim);
  return status;
}

absl::Status Recovery::DeliverAll(const Claim& claim, const std::vector<std::uint64_t>& sequences,
                                  const WriterImage* image, Recovered* recovered) {
  Account account{.writer = recovered->writer.ToUuid(),
                  .stats = image != nullptr ? image->Count() : Stats(),
                  .recovered = recovered,
                  .sender = nullptr};
  pg::BatchSender sender(
      &session_, recovered->writer, options_.batch_timeout_ms,
      [&](std::uint64_t persisted, std::uint64_t rejected) {
        const std::string call =
            absl::StrCat("SELECT trace_writer_counted('", account.writer, "', ", persisted);
        if (rejected == 0) return call + ")";
        Stats stats = account.stats;
        stats.dropped_by_reason[static_cast<std::size_t>(DropReason::kRejected)] += rejected;
        return absl::StrCat(call, ", NULL, ", pg::DropsLiteral(stats), ")");
      },
      // Once, and not with every try.
      [said = std::string()](const pg::Failure& failure) mutable {
        if (std::exchange(said, failure.message) != failure.message) {
          base::LogError(failure.message);
        }
      });
  account.sender = &sender;
  // Who had nothing to say gets no row; one that it has may have rows of open spans.
  absl::Status status;
  if (!sequences.empty() || account.stats.started > 0) {
    status = ToStatus(
        sender.Introduce(recovered->owner.service, recovered->owner.pid, recovered->owner.version));
  }
  if (status.ok()) status = DeliverSegments(claim, sequences, account);
  if (status.ok() && image != nullptr) status = DeliverImage(*image, account);
  if (!status.ok()) return status;
  return ToStatus(
      sender.Run(absl::StrCat("SELECT trace_writer_recovered('", account.writer, "', ",
                              image != nullptr ? absl::StrCat(account.stats.started) : "NULL", ", ",
                              pg::DropsLiteral(account.stats), ")")));
}

// The rings first: a journal without them says whether they were here.
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

// Refused as a whole it is tried as often as the shipper would, and given up.
absl::Status Recovery::Send(const flush::Batch& batch, Account& account) {
  for (int tries = 1;; ++tries) {
    const pg::BatchSender::Result result = account.sender->Send(batch, tries - 1);
    if (result.settled()) {
      account.recovered->rejected += result.rejected;
      account.stats.dropped_by_reason[static_cast<std::size_t>(DropReason::kRejected)] +=
          result.rejected;
      if (result.failure.kind == pg::FailureKind::kAlreadyThere) {
        account.recovered->already_there += result.persisted;
      }
      return absl::OkStatus();
    }
    if (result.failure.kind != pg::FailureKind::kBadRow) return ToStatus(result.failure);
    if (tries >= pg::MostTries(batch.rows)) {
      base::LogError(
          absl::StrCat("recovery gives up ", batch.rows, " spans: ", result.failure.message));
      account.recovered->rejected += batch.rows;
      return StoreDrops(DropReason::kRejected, batch.rows, account);
    }
    BackOff(tries);
    // acquire: pairs with the release in Abort.
    if (stop_.load(std::memory_order_acquire)) return absl::CancelledError("stopped");
  }
}

// Before that goes which says so.
absl::Status Recovery::StoreDrops(DropReason reason, std::uint64_t spans, Account& account) {
  account.stats.dropped_by_reason[static_cast<std::size_t>(reason)] += spans;
  return ToStatus(
      account.sender->Run(absl::StrCat("SELECT trace_writer_counted('", account.writer,
                                       "', 0, NULL, ", pg::DropsLiteral(account.stats), ")")));
}

void Recovery::BackOff(int failures) {
  const std::int64_t pause =
      std::min<std::int64_t>(kFirstPauseMs << std::min(failures - 1, 20),
                             static_cast<std::int64_t>(options_.retry_max_ms));
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(pause);
  // acquire: pairs with the release in Abort.
  while (!stop_.load(std::memory_order_acquire)) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    pollfd fd{wake_.fd(), POLLIN, 0};
    poll(&fd, 1, static_cast<int>(std::min<std::int64_t>(left.count(), wake_.MostWaitMs())));
  }
}

absl::Status Recovery::DeliverSegments(const Claim& claim,
                                       const std::vector<std::uint64_t>& sequences,
                                       Account& account) {
  for (const std::uint64_t sequence : sequences) {
    auto segment = flush::ReadSegmentFile(claim.journal.fd.get(), sequence);
    if (absl::IsUnavailable(segment.status()) || absl::IsFailedPrecondition(segment.status())) {
      return segment.status();
    }
    if (!segment.ok() || segment->has_rest) {
      const std::uint64_t claimed = flush::RowsClaimedIn(claim.journal.fd.get(), sequence);
      const std::uint64_t whole = segment.ok() ? segment->rows : 0;
      if (const std::uint64_t damaged = claimed - std::min(claimed, whole); damaged > 0) {
        base::LogError(absl::StrCat("recovery: a segment of the journal is damaged, with ", damaged,
                                    " spans"));
        account.recovered->damaged += damaged;
        if (absl::Status status = StoreDrops(DropReason::kJournalDamaged, damaged, account);
            !status.ok()) {
          return status;
        }
      }
    }
    if (segment.ok() && segment->rows > 0) {
      flush::Batch batch;
      batch.sequence = sequence;
      batch.rows = segment->rows;
      batch.data = std::move(segment->data);
      batch.closed = flush::MaybeReported(
          {reinterpret_cast<const char*>(batch.data.data()), batch.data.size()});
      if (absl::Status status = Send(batch, account); !status.ok()) return status;
      account.recovered->from_journal += batch.rows;
    }
    unlinkat(claim.journal.fd.get(), flush::SegmentName(sequence).c_str(), 0);
  }
  return absl::OkStatus();
}

absl::Status Recovery::DeliverImage(const WriterImage& image, Account& account) {
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
    status = Send(batch, account);
    batch.sequence += 1;
    batch.rows = 0;
    batch.data.clear();
    batch.closed.clear();
  };
  image.ForEachSpan([&](const ring::RecordHeader& record, bool was_open) {
    encoder.Append(record, clock, batch.data, image.sampling().Samples(record));
    ++batch.rows;
    ++(was_open ? account.recovered->were_open : account.recovered->from_rings);
    if (batch.rows == batch_rows) send();
    return status.ok();
  });
  if (status.ok()) send();
  return status;
}

}  // namespace spanring::recovery
