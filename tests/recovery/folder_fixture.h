// A folder of a test's own, gone with the object, and a registry with its memory in files there.
// Threads: one. Memory: owns the folder. Errors: a failure of set-up throws.
// Design: docs/reliability.md#recovery
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "platform/private_files.h"
#include "recovery/folders.h"
#include "ring/registry.h"

namespace spanring::recovery {

class TemporaryFolder {
 public:
  TemporaryFolder() : TemporaryFolder(std::filesystem::temp_directory_path()) {}
  explicit TemporaryFolder(const std::filesystem::path& parent) {
    std::string name = parent / "spanring-recovery.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }
  platform::Fd Open() const {
    auto fd = platform::OpenFolder(path_);
    if (!fd.ok()) throw std::runtime_error(std::string(fd.status().message()));
    return std::move(*fd);
  }
  std::size_t entries() const {
    std::size_t n = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path_)) ++n;
    return n;
  }

 private:
  std::string path_;
};

// Its control file says what a runtime would.
inline ring::Registry* MakeRegistryIn(const TemporaryFolder& folder, std::uint64_t ring_bytes,
                                      std::uint64_t max_open_spans) {
  auto* registry = new ring::Registry(ring_bytes, max_open_spans, folder.Open());
  ring::ControlData* control = registry->MakeControl();
  if (control == nullptr) throw std::runtime_error("no control file");
  control->writer_high = 7;
  control->writer_low = 8;
  control->batch_rows = 100;
  control->next_sequence = 42;
  const platform::TickCalibration clock;
  control->SetLine(clock.line());
  control->alive_unix_ns = clock.UnixNanoseconds(platform::Ticks()) + 1'000'000'000;
  registry->PublishControl();
  return registry;
}

}  // namespace spanring::recovery
