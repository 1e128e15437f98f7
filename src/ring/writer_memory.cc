#include "ring/writer_memory.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <new>

#include "platform/memory.h"

namespace spanring::ring {
namespace {

using FileName = std::array<char, 40>;

FileName NameOf(PageKind kind, std::uint64_t number) noexcept {
  const char* word = kind == PageKind::kControl    ? "control"
                     : kind == PageKind::kProducer ? "producer"
                     : kind == PageKind::kSlots    ? "slots"
                                                   : "extension";
  FileName name{};
  std::snprintf(name.data(), name.size(), "%s-%llu", word, static_cast<unsigned long long>(number));
  return name;
}

}  // namespace

std::string PageFileName(PageKind kind, std::uint64_t number) {
  return NameOf(kind, number).data();
}

PageHeader* WriterMemory::Map(PageKind kind, std::size_t bytes, std::size_t head_bytes) noexcept {
  void* memory = nullptr;
  std::uint64_t number = 0;
  if (folder_) {
    // relaxed: as said at next_number_.
    number = next_number_.fetch_add(1, std::memory_order_relaxed);
    memory = platform::MapFile(folder_.get(), NameOf(kind, number).data(), bytes);
  }
  if (memory == nullptr) {
    memory = platform::MapPages(bytes, /*prefault=*/true);
    if (memory == nullptr) return nullptr;
    // relaxed: as said at has_overflowed_.
    if (folder_) has_overflowed_.store(true, std::memory_order_relaxed);
    if (!folder_ || head_bytes == 0 ||
        !platform::MapFileInto(folder_.get(), NameOf(kind, number).data(), head_bytes, memory)) {
      number = 0;
    }
  }
  auto* page = new (memory) PageHeader{};
  page->version = kPageVersion;
  page->kind = kind;
  page->number = number;
  page->base = reinterpret_cast<std::uintptr_t>(memory);
  page->bytes = bytes;
  return page;
}

void WriterMemory::Unmap(PageHeader* page) noexcept {
  if (page->number != 0 && folder_) {
    unlinkat(folder_.get(), NameOf(page->kind, page->number).data(), 0);
  }
  platform::UnmapPages(page, page->bytes);
}

}  // namespace spanring::ring
