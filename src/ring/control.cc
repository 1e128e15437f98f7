#include "ring/control.h"

namespace spanring::ring {

bool ControlData::AddNames(std::uint16_t number, const CallSiteNames& names_of_site) noexcept {
  // relaxed: a second entry of the same names does no harm.
  if (name_offsets[number].load(std::memory_order_relaxed) != 0) return true;
  const auto& [of_service, of_operation] = names_of_site;
  const std::uint64_t needed = 2 + of_service.size() + of_operation.size();
  // relaxed: only the place's uniqueness matters. Place 0 is never given: it means none.
  const std::uint64_t at = 1 + names_used.fetch_add(needed, std::memory_order_relaxed);
  if (at + needed > names.size()) return false;
  names[at] = static_cast<char>(of_service.size());
  names[at + 1] = static_cast<char>(of_operation.size());
  of_service.copy(&names[at + 2], of_service.size());
  of_operation.copy(&names[at + 2 + of_service.size()], of_operation.size());
  // release: the texts are whole before they can be found.
  name_offsets[number].store(static_cast<std::uint32_t>(at), std::memory_order_release);
  return true;
}

}  // namespace spanring::ring
