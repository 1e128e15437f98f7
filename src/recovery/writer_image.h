// What a killed process's memory says: the spans in its rings, those that were open, and its
// counts. Threads: one. Memory: copies of its files, a ring's worth for each thread that it had.
// Errors: takes any bytes; what does not make sense is left out, and counted by who compares what
//   was started with what was found.
// Design: docs/reliability.md#recovery
//
// What it yields depends on the files alone, in a fixed order: who recovers after a recovery that
// was cut off finds the same spans in the same batches, and the ledger knows those that are stored.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "flush/row_encoder.h"
#include "flush/segment.h"
#include "platform/clock.h"
#include "ring/record.h"
#include "ring/sampling.h"
#include "ring/writer_memory.h"
#include "spanring/id.h"
#include "spanring/stats.h"

namespace spanring::recovery {

class WriterImage {
 public:
  // Reads all files of the folder. NotFound: it has no `control`, and so never had a span.
  // FailedPrecondition: of another version.
  [[nodiscard]] static absl::StatusOr<WriterImage> Read(int folder);

  // One file's bytes; files that are none of ours are passed over.
  [[nodiscard]] absl::Status Add(std::vector<std::uint8_t> bytes);
  bool has_control() const noexcept { return control_ != nullptr; }

  // The rings were read up to there: the journal holds it. Both in this image and in the files.
  [[nodiscard]] absl::Status Advance(int folder, const std::vector<flush::RingPosition>& positions);
  void Advance(const std::vector<flush::RingPosition>& positions);
  // The ends of the rings.
  std::vector<flush::RingPosition> Published() const;

  // Called for each span; false: no more. `was_open`: it had not ended, and is given as failed.
  using Take = std::function<bool(const ring::RecordHeader&, bool was_open)>;
  // Those in the rings, as they ended, and then those that were open.
  void ForEachSpan(const Take& take) const;

  // Who it was.
  TraceId writer() const;
  std::uint64_t pid() const;
  std::string service() const;
  std::uint64_t batch_rows() const;
  std::uint64_t next_sequence() const;
  bool left_in_order() const;
  ring::SamplingRule sampling() const;
  const flush::CallSiteNameList& names() const noexcept { return names_; }
  platform::TickCalibration clock() const;

  // Spans started, and those dropped by reason.
  Stats Count() const;

 private:
  struct File {
    ring::PageHeader header;
    std::vector<std::uint8_t> bytes;
  };
  struct OpenSlot;

  void ReadNames();
  std::int64_t AliveUnixNs() const;
  bool ForEachInRing(const File& file, const Take& take) const;
  std::vector<OpenSlot> OpenSlots() const;
  void LeaveOutEnded(std::vector<OpenSlot>* slots) const;
  const std::uint8_t* ItemsOf(const OpenSlot& slot, std::size_t bytes) const;
  bool TakeOpen(const OpenSlot& slot, const Take& take) const;

  std::unique_ptr<std::vector<std::uint8_t>> control_;
  flush::CallSiteNameList names_;
  std::vector<File> producers_;  // By number, as all.
  std::vector<File> slots_;
  std::vector<File> extensions_;
};

}  // namespace spanring::recovery
