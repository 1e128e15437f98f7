#include "recovery/writer_image.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "ring/control.h"

namespace spanring::recovery {
namespace {

using ring::ControlData;
using ring::PageHeader;
using ring::PageKind;
using ring::RecordHeader;
using ring::RecordStart;
using ring::RecordStatus;

constexpr std::size_t kMostFileBytes = std::size_t{1} << 29;
constexpr std::size_t kLeastFileBytes = sizeof(PageHeader);
// A start that was set amid a crash: the time is there, and the flag that says so is not.
constexpr std::int64_t kTooLateNs = 3'600'000'000'000;

std::uint64_t Word(const std::vector<std::uint8_t>& bytes, std::uint64_t offset) {
  std::uint64_t word = 0;
  if (offset <= bytes.size() && bytes.size() - offset >= sizeof(word)) {
    std::memcpy(&word, bytes.data() + offset, sizeof(word));
  }
  return word;
}

bool IsInside(const std::vector<std::uint8_t>& bytes, std::uint64_t offset, std::uint64_t size) {
  return offset <= bytes.size() && size <= bytes.size() - offset;
}

const ControlData& ControlIn(const std::vector<std::uint8_t>& bytes) {
  return *reinterpret_cast<const ControlData*>(bytes.data() + sizeof(PageHeader));
}

}  // namespace

struct WriterImage::OpenSlot {
  const File* file;
  std::uint64_t offset;  // In the file.
  const RecordStart& record() const noexcept {
    return *reinterpret_cast<const RecordStart*>(file->bytes.data() + offset);
  }
};

absl::StatusOr<WriterImage> WriterImage::Read(int folder) {
  WriterImage image;
  const auto names = platform::NamesIn(folder);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (name.find('-') == std::string::npos) continue;
    const auto file = platform::OpenFileAt(folder, name, /*create=*/false);
    if (!file.ok()) return file.status();
    auto bytes = platform::ReadFile(*file, kMostFileBytes);
    if (absl::IsDataLoss(bytes.status())) continue;
    if (!bytes.ok()) return bytes.status();
    if (absl::Status status = image.Add(std::move(*bytes)); !status.ok()) return status;
  }
  if (!image.has_control()) return absl::NotFoundError("no span was ever started here");
  return image;
}

absl::Status WriterImage::Add(std::vector<std::uint8_t> bytes) {
  if (bytes.size() < kLeastFileBytes) return absl::OkStatus();
  PageHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != ring::kPageMagic) return absl::OkStatus();
  if (header.version != ring::kPageVersion) {
    return absl::FailedPreconditionError(absl::StrCat("written by another version (",
                                                      header.version, ", not ", ring::kPageVersion,
                                                      "): use its own `spanring recover`"));
  }
  if (header.kind == PageKind::kControl) {
    if (bytes.size() < sizeof(PageHeader) + sizeof(ControlData)) return absl::OkStatus();
    control_ = std::make_unique<std::vector<std::uint8_t>>(std::move(bytes));
    ReadNames();
    return absl::OkStatus();
  }
  std::vector<File>* files = header.kind == PageKind::kProducer    ? &producers_
                             : header.kind == PageKind::kSlots     ? &slots_
                             : header.kind == PageKind::kExtension ? &extensions_
                                                                   : nullptr;
  if (files == nullptr) return absl::OkStatus();
  const auto place = std::find_if(files->begin(), files->end(), [&](const File& file) {
    return file.header.number > header.number;
  });
  files->insert(place, File{header, std::move(bytes)});
  return absl::OkStatus();
}

void WriterImage::ReadNames() {
  const ControlData& control = ControlIn(*control_);
  names_.assign(ring::kMaxCallSites, {});
  for (std::size_t number = 1; number < names_.size(); ++number) {
    // relaxed: the process that wrote it is gone, as for all in this file.
    const std::size_t at = control.name_offsets[number].load(std::memory_order_relaxed);
    if (at == 0 || at + 2 > control.names.size()) continue;
    const auto service_bytes = static_cast<std::uint8_t>(control.names[at]);
    const auto operation_bytes = static_cast<std::uint8_t>(control.names[at + 1]);
    if (at + 2 + service_bytes + operation_bytes > control.names.size()) continue;
    names_[number] = {std::string(&control.names[at + 2], service_bytes),
                      std::string(&control.names[at + 2 + service_bytes], operation_bytes)};
  }
}

TraceId WriterImage::writer() const {
  return TraceId(ControlIn(*control_).writer_high, ControlIn(*control_).writer_low);
}
std::uint64_t WriterImage::pid() const { return ControlIn(*control_).pid; }
std::string WriterImage::service() const {
  const ControlData& control = ControlIn(*control_);
  return base::Sanitized({control.service.data(),
                          std::min<std::size_t>(control.service_bytes, control.service.size())});
}
std::uint64_t WriterImage::batch_rows() const {
  return std::clamp<std::uint64_t>(ControlIn(*control_).batch_rows, 1, 100'000);
}
// relaxed, all here: the process that wrote it is gone.
std::uint64_t WriterImage::next_sequence() const {
  return std::max<std::uint64_t>(
      1, ControlIn(*control_).next_sequence.load(std::memory_order_relaxed));
}
bool WriterImage::left_in_order() const {
  // relaxed: as above.
  return ControlIn(*control_).left_in_order.load(std::memory_order_relaxed) != 0;
}
ring::SamplingRule WriterImage::sampling() const {
  // relaxed: as above.
  return ControlIn(*control_).sampling.load(std::memory_order_relaxed);
}
std::int64_t WriterImage::AliveUnixNs() const {
  // relaxed: as above.
  return ControlIn(*control_).alive_unix_ns.load(std::memory_order_relaxed);
}
platform::TickCalibration WriterImage::clock() const {
  const ControlData& control = ControlIn(*control_);
  return platform::TickCalibration(control.lines[control.line.load(std::memory_order_relaxed) % 2]);
}

void WriterImage::Advance(const std::vector<flush::RingPosition>& positions) {
  for (const flush::RingPosition& position : positions) {
    for (File& file : producers_) {
      const PageHeader& header = file.header;
      if (header.number != position.producer || !IsInside(file.bytes, header.consumed, 8)) continue;
      const std::uint64_t read = Word(file.bytes, header.consumed);
      if (position.position > read) {
        std::memcpy(file.bytes.data() + header.consumed, &position.position, 8);
      }
    }
  }
}

std::vector<flush::RingPosition> WriterImage::Published() const {
  std::vector<flush::RingPosition> ends;
  for (const File& file : producers_) {
    ends.push_back({file.header.number, Word(file.bytes, file.header.published)});
  }
  return ends;
}

absl::Status WriterImage::Advance(int folder, const std::vector<flush::RingPosition>& positions) {
  Advance(positions);
  for (const File& file : producers_) {
    const PageHeader& header = file.header;
    if (!IsInside(file.bytes, header.consumed, 8)) continue;
    const auto opened = platform::OpenFileAt(
        folder, ring::PageFileName(PageKind::kProducer, header.number), /*create=*/false);
    if (!opened.ok()) return opened.status();
    const absl::Status written = platform::WriteFile(*opened, file.bytes.data() + header.consumed,
                                                     sizeof(std::uint64_t), header.consumed);
    if (!written.ok()) return written;
  }
  return absl::OkStatus();
}

bool WriterImage::ForEachInRing(const File& file, const Take& take) const {
  const PageHeader& header = file.header;
  const std::uint64_t capacity = header.ring_bytes;
  if (!std::has_single_bit(capacity) || header.ring % 8 != 0 ||
      !IsInside(file.bytes, header.ring, capacity)) {
    return true;
  }
  const std::uint8_t* ring = file.bytes.data() + header.ring;
  const std::uint64_t published = Word(file.bytes, header.published);
  std::uint64_t at = Word(file.bytes, header.consumed);
  if (published - at > capacity) return true;
  while (at != published) {
    const std::uint64_t place = at & (capacity - 1);
    if (place % 8 != 0) return true;
    const std::uint64_t left = std::min(published - at, capacity - place);
    if (left < sizeof(std::uint64_t)) return true;
    std::uint32_t size = 0;
    std::memcpy(&size, ring + place, sizeof(size));
    const auto status = static_cast<RecordStatus>(ring[place + offsetof(RecordStart, status)]);
    const std::uint32_t least = status == RecordStatus::kFree ? 8 : sizeof(RecordHeader);
    if (size < least || size % 8 != 0 || size > left) return true;
    if (status != RecordStatus::kFree &&
        !take(*reinterpret_cast<const RecordHeader*>(ring + place), /*was_open=*/false)) {
      return false;
    }
    at += size;
  }
  return true;
}

std::vector<WriterImage::OpenSlot> WriterImage::OpenSlots() const {
  std::vector<OpenSlot> open;
  for (const File& file : slots_) {
    const PageHeader& header = file.header;
    const std::uint64_t slot_bytes = header.slot_bytes;
    if (slot_bytes < sizeof(RecordHeader) || slot_bytes % 8 != 0 || header.first_slot % 8 != 0 ||
        header.execution_id > slot_bytes - 8 || header.items > slot_bytes - 8 ||
        header.inline_items > slot_bytes ||
        header.inline_bytes > slot_bytes - header.inline_items) {
      continue;
    }
    for (std::uint64_t i = 0; i < header.slot_count; ++i) {
      if (i > file.bytes.size() / slot_bytes) break;
      const std::uint64_t offset = header.first_slot + i * slot_bytes;
      if (!IsInside(file.bytes, offset, slot_bytes)) break;
      const OpenSlot slot{&file, offset};
      if (slot.record().status == RecordStatus::kOpen &&
          slot.record().size >= sizeof(RecordHeader)) {
        open.push_back(slot);
      }
    }
  }
  LeaveOutEnded(&open);
  return open;
}

// A thread that was killed while it ended a span may have put it into a ring, and not yet said that
// the slot is free. Such a ring's thread is busy; the record has the slot's words, and lies before
// the position that is published. What lies at it was not: the span is still open.
void WriterImage::LeaveOutEnded(std::vector<OpenSlot>* slots) const {
  constexpr std::size_t kSame = offsetof(RecordStart, trace_id_high);
  constexpr std::size_t kSameBytes = sizeof(RecordStart) - kSame;
  std::unordered_multimap<std::uint64_t, std::size_t> by_span_id;
  for (std::size_t i = 0; i < slots->size(); ++i) {
    by_span_id.emplace((*slots)[i].record().span_id, i);
  }
  std::vector<bool> ended(slots->size());
  for (const File& file : producers_) {
    const PageHeader& header = file.header;
    const std::uint64_t capacity = header.ring_bytes;
    if (by_span_id.empty() || !std::has_single_bit(capacity) || header.ring % 8 != 0 ||
        !IsInside(file.bytes, header.ring, capacity) || !IsInside(file.bytes, header.busy, 1) ||
        file.bytes[header.busy] == 0) {
      continue;
    }
    const std::uint8_t* ring = file.bytes.data() + header.ring;
    const std::uint64_t not_published = Word(file.bytes, header.published) & (capacity - 1);
    for (std::uint64_t at = 0; at + sizeof(RecordHeader) <= capacity; at += 8) {
      std::uint64_t span_id = 0;
      std::memcpy(&span_id, ring + at + offsetof(RecordStart, span_id), sizeof(span_id));
      if (at == not_published) continue;
      const auto [first, last] = by_span_id.equal_range(span_id);
      for (auto it = first; it != last; ++it) {
        const OpenSlot& slot = (*slots)[it->second];
        const std::uint8_t* words = slot.file->bytes.data() + slot.offset;
        if (std::memcmp(ring + at + kSame, words + kSame, kSameBytes) == 0)
          ended[it->second] = true;
      }
    }
  }
  std::vector<OpenSlot> open;
  for (std::size_t i = 0; i < slots->size(); ++i) {
    if (!ended[i]) open.push_back((*slots)[i]);
  }
  *slots = std::move(open);
}

// Where the items of the slot are in this image; nullptr: nowhere.
const std::uint8_t* WriterImage::ItemsOf(const OpenSlot& slot, std::size_t bytes) const {
  const PageHeader& header = slot.file->header;
  const std::uint64_t pointer = Word(slot.file->bytes, slot.offset + header.items);
  const std::uint64_t place = slot.offset + header.inline_items;
  if (pointer == header.base + place) {
    return bytes <= header.inline_bytes ? slot.file->bytes.data() + place : nullptr;
  }
  for (const File& file : extensions_) {
    if (pointer == file.header.base + sizeof(PageHeader) &&
        IsInside(file.bytes, sizeof(PageHeader), bytes)) {
      return file.bytes.data() + sizeof(PageHeader);
    }
  }
  return nullptr;
}

bool WriterImage::TakeOpen(const OpenSlot& slot, const Take& take) const {
  const RecordStart& start = slot.record();
  std::size_t item_bytes = start.size - sizeof(RecordHeader);
  const std::uint8_t* items =
      item_bytes <= ring::kExtensionBytes ? ItemsOf(slot, item_bytes) : nullptr;
  if (items == nullptr) item_bytes = 0;

  std::vector<std::uint8_t> record(sizeof(RecordHeader));
  RecordHeader header{};
  static_cast<RecordStart&>(header) = start;
  header.status = RecordStatus::kFailed;
  std::memcpy(&header.execution_id,
              slot.file->bytes.data() + slot.offset + slot.file->header.execution_id, 8);
  const platform::TickCalibration line = clock();
  const std::int64_t alive = AliveUnixNs();
  std::int64_t start_ns = header.start;
  if ((header.flags & ring::kStartIsUnixNs) == 0) {
    start_ns = line.UnixNanoseconds(static_cast<std::uint64_t>(header.start));
    if (start_ns > alive && start_ns - alive > kTooLateNs) {
      header.flags |= ring::kStartIsUnixNs;
      start_ns = header.start;
    }
  }
  header.end = std::max(alive, start_ns);
  header.flags |= ring::kEndIsUnixNs;

  if (item_bytes > 0) record.insert(record.end(), items, items + item_bytes);
  const auto add = [&](ring::ItemKind kind, std::string_view text) {
    const ring::ItemHeader item{kind, 0, static_cast<std::uint16_t>(text.size())};
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&item);
    record.insert(record.end(), bytes, bytes + sizeof(item));
    record.insert(record.end(), text.begin(), text.end());
  };
  add(ring::ItemKind::kErrorType, left_in_order() ? "process_exit" : "process_crash");
  add(ring::ItemKind::kErrorMessage,
      left_in_order()
          ? "the process exited while this span was open"
          : "the process died while this span was open; it was last known alive at its end");
  header.size = static_cast<std::uint32_t>(record.size());
  std::memcpy(record.data(), &header, sizeof(header));
  return take(*reinterpret_cast<const RecordHeader*>(record.data()), /*was_open=*/true);
}

void WriterImage::ForEachSpan(const Take& take) const {
  for (const File& file : producers_) {
    if (!ForEachInRing(file, take)) return;
  }
  for (const OpenSlot& slot : OpenSlots()) {
    if (!TakeOpen(slot, take)) return;
  }
}

Stats WriterImage::Count() const {
  Stats stats;
  const auto drop = [&](std::size_t reason, std::uint64_t n) {
    if (reason >= kDropReasonCount || n > (std::uint64_t{1} << 60)) return;
    stats.dropped_by_reason[reason] += n;
    stats.dropped += n;
  };
  for (const File& file : producers_) {
    const PageHeader& header = file.header;
    const std::uint64_t refused = Word(file.bytes, header.reentrant_starts);
    stats.started += Word(file.bytes, header.started) + refused;
    drop(static_cast<std::size_t>(DropReason::kReentrant),
         refused + Word(file.bytes, header.reentrant_ends));
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(header.drop_count, kDropReasonCount);
         ++i) {
      drop(i, Word(file.bytes, header.drops + i * sizeof(std::uint64_t)));
    }
  }
  const ControlData& control = ControlIn(*control_);
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    // relaxed: the process that wrote it is gone.
    drop(i, control.dropped[i].load(std::memory_order_relaxed));
  }
  return stats;
}

}  // namespace spanring::recovery
