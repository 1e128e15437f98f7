#include "flush/segment.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "flush/row_encoder.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace spanring::flush {
namespace {

constexpr std::uint64_t kMagic = 0x4c4e524a'4e415053;  // "SPANJRNL"
// Of the file and of its rows' columns. Never reuse.
constexpr std::uint32_t kVersion = 1;
constexpr std::string_view kSuffix = ".segment";
constexpr std::size_t kMostBytes = std::size_t{1} << 30;

struct Header {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t columns;
  std::uint64_t writer_high;
  std::uint64_t writer_low;
  std::uint64_t sequence;
  std::uint64_t unused[2];
  std::uint64_t checksum;  // Of all before it.
};
static_assert(sizeof(Header) == 64);

struct FrameHeader {
  std::uint64_t checksum;  // Of all behind it, up to the end of the frame.
  std::uint64_t row_bytes;
  std::uint32_t rows;
  std::uint32_t positions;
};
static_assert(sizeof(FrameHeader) == 24);

std::uint64_t ChecksumOf(const Header& header) {
  return XXH3_64bits(&header, offsetof(Header, checksum));
}

std::uint64_t ChecksumOf(const FrameHeader& header, std::string_view positions,
                         std::string_view rows) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, &header.row_bytes, sizeof(header) - sizeof(header.checksum));
  XXH3_64bits_update(&state, positions.data(), positions.size());
  XXH3_64bits_update(&state, rows.data(), rows.size());
  return XXH3_64bits_digest(&state);
}

// False: what is left is no whole frame.
bool TakeFrame(std::string_view& rest, Segment& segment) {
  FrameHeader header;
  if (rest.size() < sizeof(header)) return false;
  std::memcpy(&header, rest.data(), sizeof(header));
  const std::string_view body = rest.substr(sizeof(header));
  const std::size_t position_bytes = std::size_t{header.positions} * sizeof(RingPosition);
  if (header.row_bytes > body.size() || position_bytes > body.size() - header.row_bytes) {
    return false;
  }
  const std::string_view positions = body.substr(0, position_bytes);
  const std::string_view rows = body.substr(position_bytes, header.row_bytes);
  if (ChecksumOf(header, positions, rows) != header.checksum) return false;
  segment.data.insert(segment.data.end(), rows.begin(), rows.end());
  segment.rows += header.rows;
  for (std::size_t at = 0; at < positions.size(); at += sizeof(RingPosition)) {
    RingPosition position;
    std::memcpy(&position, positions.data() + at, sizeof(position));
    const auto same = std::find_if(segment.positions.begin(), segment.positions.end(),
                                   [&](const auto& p) { return p.producer == position.producer; });
    if (same == segment.positions.end()) {
      segment.positions.push_back(position);
    } else {
      *same = position;
    }
  }
  rest.remove_prefix(sizeof(header) + position_bytes + header.row_bytes);
  return true;
}

}  // namespace

std::string SegmentName(std::uint64_t sequence) {
  return absl::StrFormat("%020d.segment", sequence);
}

std::uint64_t SequenceOf(std::string_view name) noexcept {
  std::uint64_t sequence = 0;
  if (!name.ends_with(kSuffix)) return 0;
  name.remove_suffix(kSuffix.size());
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), sequence);
  return error == std::errc() && end == name.data() + name.size() ? sequence : 0;
}

absl::StatusOr<SegmentWriter> SegmentWriter::Create(int folder, const TraceId& writer,
                                                    std::uint64_t sequence) {
  auto file = platform::OpenFileAt(folder, SegmentName(sequence), /*create=*/true);
  if (!file.ok()) return file.status();
  SegmentWriter made(std::move(*file));
  Header header{kMagic, kVersion, kRowColumnCount, writer.high(), writer.low(), sequence, {}, 0};
  header.checksum = ChecksumOf(header);
  if (absl::Status status = platform::WriteFile(made.file_, &header, sizeof(header), 0);
      !status.ok()) {
    unlinkat(folder, SegmentName(sequence).c_str(), 0);
    return status;
  }
  made.bytes_ = sizeof(header);
  return made;
}

absl::Status SegmentWriter::Append(std::string_view rows, std::uint32_t count,
                                   const std::vector<RingPosition>& positions) {
  const std::string_view position_bytes(reinterpret_cast<const char*>(positions.data()),
                                        positions.size() * sizeof(RingPosition));
  FrameHeader header{0, rows.size(), count, static_cast<std::uint32_t>(positions.size())};
  header.checksum = ChecksumOf(header, position_bytes, rows);
  const std::size_t size = sizeof(header) + position_bytes.size() + rows.size();
  if (!platform::MayWriteFileOf(bytes_ + size)) {
    return absl::UnavailableError("the process may not write files so long (ulimit -f)");
  }
  const iovec parts[] = {{&header, sizeof(header)},
                         {const_cast<char*>(position_bytes.data()), position_bytes.size()},
                         {const_cast<char*>(rows.data()), rows.size()}};
  const ssize_t written = pwritev(file_.get(), parts, 3, static_cast<off_t>(bytes_));
  if (written == static_cast<ssize_t>(size)) {
    bytes_ += size;
    return absl::OkStatus();
  }
  const std::string why = written < 0 ? std::strerror(errno) : "no space left on device";
  // So that the next frame, or a reader, finds an end. Where not even that works the checksum does.
  [[maybe_unused]] const int cut = ftruncate(file_.get(), static_cast<off_t>(bytes_));
  return absl::UnavailableError(absl::StrCat("cannot write a segment: ", why));
}

absl::StatusOr<Segment> ReadSegment(std::string_view bytes) {
  Header header;
  if (bytes.size() < sizeof(header)) return absl::DataLossError("a segment ends within its header");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kMagic) return absl::DataLossError("a segment is none");
  if (header.version != kVersion || header.columns != kRowColumnCount) {
    return absl::FailedPreconditionError(
        absl::StrCat("a segment is of version ", header.version, ", not ", kVersion));
  }
  if (header.checksum != ChecksumOf(header)) {
    return absl::DataLossError("a segment's header is damaged");
  }
  Segment segment;
  segment.writer = TraceId(header.writer_high, header.writer_low);
  segment.sequence = header.sequence;
  bytes.remove_prefix(sizeof(header));
  while (TakeFrame(bytes, segment)) {
  }
  segment.has_rest = !bytes.empty();
  return segment;
}

std::uint64_t RowsClaimed(std::string_view bytes) noexcept {
  // The number of columns, and a length for each: a header full of noise claims no millions.
  constexpr std::uint64_t kLeastRowBytes = 2 + 4 * kRowColumnCount;
  std::uint64_t rows = 0;
  bytes.remove_prefix(std::min(bytes.size(), sizeof(Header)));
  FrameHeader header;
  while (bytes.size() >= sizeof(header)) {
    std::memcpy(&header, bytes.data(), sizeof(header));
    bytes.remove_prefix(sizeof(header));
    const std::size_t position_bytes = std::size_t{header.positions} * sizeof(RingPosition);
    if (header.row_bytes > bytes.size() || position_bytes > bytes.size() - header.row_bytes) break;
    rows += std::min<std::uint64_t>(header.rows, header.row_bytes / kLeastRowBytes);
    bytes.remove_prefix(position_bytes + header.row_bytes);
  }
  return rows;
}

std::uint64_t RowsClaimedIn(int folder, std::uint64_t sequence) {
  const auto file = platform::OpenFileAt(folder, SegmentName(sequence), /*create=*/false);
  if (!file.ok()) return 0;
  const auto bytes = platform::ReadFile(*file, kMostBytes);
  if (!bytes.ok()) return 0;
  return RowsClaimed({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
}

absl::StatusOr<Segment> ReadSegmentFile(int folder, std::uint64_t sequence) {
  const auto file = platform::OpenFileAt(folder, SegmentName(sequence), /*create=*/false);
  if (!file.ok()) return file.status();
  const auto bytes = platform::ReadFile(*file, kMostBytes);
  if (!bytes.ok()) return bytes.status();
  auto segment = ReadSegment({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (segment.ok() && segment->sequence != sequence) {
    return absl::DataLossError("a segment bears another's name");
  }
  return segment;
}

}  // namespace spanring::flush
