// A batch on disk: rows ready for COPY, and up to where each ring was read for them.
// Threads: one at a time.
// Memory: a reader's contents; a writer has none.
// Errors: absl::Status; a writer that failed leaves what was whole before. A reader takes any
// bytes. Design: docs/reliability.md#journal
//
//   header (64 bytes) | frame | frame | ...
//   frame: header (24 bytes) | positions (16 bytes each) | rows
//
// A frame is written at once, and its checksum says whether it is whole: a process may be killed,
// or a disk full, in the midst of it. All numbers in the machine's own order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform/private_files.h"
#include "spanring/id.h"

namespace spanring::flush {

// A producer's ring has been read up to `position` by the frame that says so.
struct RingPosition {
  std::uint64_t producer;  // ring::Producer::number().
  std::uint64_t position;
};

// "00000000000000000042.segment", and back; 0: no such name.
std::string SegmentName(std::uint64_t sequence);
std::uint64_t SequenceOf(std::string_view name) noexcept;

class SegmentWriter {
 public:
  // Makes the file of a batch in the writer's folder.
  [[nodiscard]] static absl::StatusOr<SegmentWriter> Create(int folder, const TraceId& writer,
                                                            std::uint64_t sequence);
  // One frame. After a failure the file ends before it.
  [[nodiscard]] absl::Status Append(std::string_view rows, std::uint32_t count,
                                    const std::vector<RingPosition>& positions);

 private:
  explicit SegmentWriter(platform::Fd file) : file_(std::move(file)) {}
  platform::Fd file_;
  std::uint64_t bytes_ = 0;
};

struct Segment {
  TraceId writer;
  std::uint64_t sequence = 0;
  std::uint32_t rows = 0;
  std::vector<std::uint8_t> data;       // The rows of all whole frames.
  std::vector<RingPosition> positions;  // The last of each producer.
  bool has_rest = false;                // Bytes behind the last whole frame.
};

// DataLoss: not a segment, or not a byte of it is whole; FailedPrecondition: of another version.
[[nodiscard]] absl::StatusOr<Segment> ReadSegment(std::string_view bytes);
[[nodiscard]] absl::StatusOr<Segment> ReadSegmentFile(int folder, std::uint64_t sequence);
// How many rows the frames claim to have that end within the segment, damaged or not: a frame that
// was cut off never was in the journal, one that has its length and a wrong checksum was.
std::uint64_t RowsClaimed(std::string_view bytes) noexcept;
std::uint64_t RowsClaimedIn(int folder, std::uint64_t sequence);

}  // namespace spanring::flush
