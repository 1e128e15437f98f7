// Any bytes as the files of a process that was killed: every span read from them gives a row.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "recovery/folders.h"
#include "recovery/writer_image.h"
#include "ring/control.h"

namespace {

using spanring::recovery::WriterImage;
using spanring::ring::ControlData;
using spanring::ring::PageHeader;
using spanring::ring::PageKind;

// The file starts with a header that is let in; the input says the rest, the file is `bytes` long.
std::vector<std::uint8_t> FileOf(PageKind kind, std::string_view input, std::size_t bytes) {
  std::vector<std::uint8_t> file(std::max(bytes, sizeof(PageHeader)));
  std::memcpy(file.data(), input.data(), std::min(input.size(), file.size()));
  std::memcpy(file.data() + offsetof(PageHeader, magic), &spanring::ring::kPageMagic, 8);
  std::memcpy(file.data() + offsetof(PageHeader, version), &spanring::ring::kPageVersion, 4);
  std::memcpy(file.data() + offsetof(PageHeader, kind), &kind, 4);
  return file;
}

}  // namespace

// Four files of the lengths that the first bytes give: control, producer, slots, extension.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  static_cast<void>(spanring::recovery::OwnerFromText(input));
  WriterImage image;
  for (const PageKind kind :
       {PageKind::kControl, PageKind::kProducer, PageKind::kSlots, PageKind::kExtension}) {
    std::uint16_t length = 0;
    if (input.size() >= sizeof(length)) std::memcpy(&length, input.data(), sizeof(length));
    input.remove_prefix(std::min(input.size(), sizeof(length)));
    const std::string_view part = input.substr(0, length);
    input.remove_prefix(part.size());
    const std::size_t bytes =
        kind == PageKind::kControl ? sizeof(PageHeader) + sizeof(ControlData) : part.size();
    if (!image.Add(FileOf(kind, part, bytes)).ok()) std::abort();
  }
  image.Advance(image.Published());
  spanring::flush::RowEncoder encoder(image.service(), &image.names());
  const spanring::platform::TickCalibration clock = image.clock();
  std::vector<std::uint8_t> rows;
  int spans = 0;
  image.ForEachSpan([&](const spanring::ring::RecordHeader& record, bool) {
    rows.clear();
    encoder.Append(record, clock, rows);
    const std::string_view row(reinterpret_cast<const char*>(rows.data()), rows.size());
    if (spanring::flush::RowLength(row) != row.size()) std::abort();
    return ++spans < 1000;
  });
  static_cast<void>(image.Count());
  return 0;
}
