// A file's uncompressed bytes as a stream that can be read again, and that knows where it stands.
// Threads: one.
// Memory: two buffers of 64 KiB. Standard input, and what else cannot be read twice, is copied to
//   an unlinked file first.
// Errors: absl::Status; what goes wrong amid the bytes ends the stream and is kept in fault().
// Design: docs/operations.md#import
#pragma once

#include <zlib.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <streambuf>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "import/span.h"

namespace spanring::importer {

class Input : public std::streambuf {
 public:
  // `path`: a file, or "-". NotFound, PermissionDenied, ... with the reason.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Input>> Open(const std::string& path);
  // Bytes in memory, for tests; they outlive it.
  [[nodiscard]] static std::unique_ptr<Input> OfMemory(std::string_view bytes);
  ~Input() override;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // Back to the first byte.
  [[nodiscard]] absl::Status Rewind();

  // Bytes read so far.
  std::uint64_t offset() const {
    return chunk_offset_ + static_cast<std::uint64_t>(gptr() - eback());
  }
  // Where the byte stands that was read last.
  Position LastRead();
  // From here on so many bytes may be read; then the stream ends with a fault. It bounds what a
  // parser that reads one value can take.
  void AllowBytes(std::uint64_t bytes) { allowed_ = offset() + bytes; }

  const absl::Status& fault() const { return fault_; }

  // Of the file as it is on disk.
  std::uint64_t stored_bytes_read() const { return stored_read_; }
  std::uint64_t stored_bytes() const { return stored_bytes_; }
  // Called after each piece that was read.
  void OnProgress(std::function<void()> progress) { progress_ = std::move(progress); }

 protected:
  int_type underflow() override;

 private:
  explicit Input(int fd) : fd_(fd) {}
  absl::Status Begin();
  std::size_t ReadStored(char* to, std::size_t most);
  std::size_t Inflate();
  void Count(const char* until);
  void EndInflate();

  const int fd_;
  std::string_view memory_;
  bool compressed_ = false;
  bool inflating_ = false;  // Amid a gzip member.
  z_stream zlib_ = {};
  std::vector<char> stored_;  // Compressed bytes.
  std::vector<char> chunk_;   // What is read from.
  std::uint64_t stored_read_ = 0;
  std::uint64_t stored_bytes_ = 0;
  std::uint64_t chunk_offset_ = 0;  // Of chunk_[0] in the content.
  std::uint64_t allowed_ = UINT64_MAX;
  absl::Status fault_;
  std::function<void()> progress_;

  // Lines up to `counted_`, and where the last of them begins.
  const char* counted_ = nullptr;
  std::uint64_t line_ = 1;
  std::uint64_t line_offset_ = 0;
};

}  // namespace spanring::importer
