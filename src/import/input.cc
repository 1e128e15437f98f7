#include "import/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace spanring::importer {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{64} * 1024;

absl::Status Errno(std::string_view what) {
  const int error = errno;
  return absl::ErrnoToStatus(error, std::string(what));
}

ssize_t ReadSome(int fd, char* to, std::size_t most) {
  ssize_t got = 0;
  do {
    got = read(fd, to, most);
  } while (got < 0 && errno == EINTR);
  return got;
}

// A file of ours that nobody else finds.
absl::StatusOr<int> NamelessFile() {
  const char* folder = std::getenv("TMPDIR");
  std::string path =
      absl::StrCat(folder != nullptr && folder[0] != '\0' ? folder : "/tmp", "/spanring-XXXXXX");
  const int fd = mkostemp(path.data(), O_CLOEXEC);  // 0600.
  if (fd < 0) return Errno(absl::StrCat("a copy of it cannot be made as ", path));
  unlink(path.c_str());
  return fd;
}

absl::StatusOr<int> CopyOf(int from) {
  absl::StatusOr<int> to = NamelessFile();
  if (!to.ok()) return to;
  std::vector<char> piece(kChunkBytes);
  for (;;) {
    const ssize_t got = ReadSome(from, piece.data(), piece.size());
    if (got == 0) break;
    absl::Status status = got < 0 ? Errno("it cannot be read") : absl::OkStatus();
    for (ssize_t at = 0; status.ok() && at < got;) {
      const ssize_t put = write(*to, piece.data() + at, static_cast<std::size_t>(got - at));
      if (put < 0 && errno != EINTR) status = Errno("its copy in the temporary folder failed");
      if (put > 0) at += put;
    }
    if (!status.ok()) {
      close(*to);
      return status;
    }
  }
  return to;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Input>> Input::Open(const std::string& path) {
  int fd = path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Errno("it cannot be opened");
  struct stat info = {};
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    close(fd);
    return absl::InvalidArgumentError("it is a folder: name the files in it");
  }
  if (!S_ISREG(info.st_mode) || path == "-") {
    const absl::StatusOr<int> copy = CopyOf(fd);
    close(fd);
    if (!copy.ok()) return copy.status();
    fd = *copy;
  }
  std::unique_ptr<Input> input(new Input(fd));
  if (fstat(fd, &info) == 0) input->stored_bytes_ = static_cast<std::uint64_t>(info.st_size);
  if (absl::Status status = input->Begin(); !status.ok()) return status;
  return input;
}

std::unique_ptr<Input> Input::OfMemory(std::string_view bytes) {
  std::unique_ptr<Input> input(new Input(-1));
  input->memory_ = bytes;
  input->stored_bytes_ = bytes.size();
  input->Begin().IgnoreError();
  return input;
}

Input::~Input() {
  EndInflate();
  if (fd_ >= 0) close(fd_);
}

void Input::EndInflate() {
  if (compressed_) inflateEnd(&zlib_);
  compressed_ = inflating_ = false;
}

absl::Status Input::Rewind() {
  EndInflate();
  if (fd_ >= 0 && lseek(fd_, 0, SEEK_SET) < 0) return Errno("it cannot be read twice");
  return Begin();
}

absl::Status Input::Begin() {
  stored_read_ = chunk_offset_ = line_offset_ = 0;
  line_ = 1;
  allowed_ = UINT64_MAX;
  fault_ = absl::OkStatus();
  chunk_.resize(kChunkBytes);
  setg(chunk_.data(), chunk_.data(), chunk_.data());
  counted_ = chunk_.data();
  std::size_t got = 0;
  while (got < 2) {
    const std::size_t more = ReadStored(chunk_.data() + got, kChunkBytes - got);
    if (more == 0) break;
    got += more;
  }
  if (!fault_.ok()) return fault_;
  if (got < 2 || chunk_[0] != '\x1f' || chunk_[1] != '\x8b') {
    setg(chunk_.data(), chunk_.data(), chunk_.data() + got);
    return absl::OkStatus();
  }
  stored_.assign(chunk_.begin(), chunk_.begin() + static_cast<std::ptrdiff_t>(got));
  zlib_ = {};
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  if (inflateInit2(&zlib_, kGzipOnly) != Z_OK) return absl::ResourceExhaustedError("no memory");
  compressed_ = inflating_ = true;
  zlib_.next_in = reinterpret_cast<Bytef*>(stored_.data());
  zlib_.avail_in = static_cast<uInt>(got);
  return absl::OkStatus();
}

std::size_t Input::ReadStored(char* to, std::size_t most) {
  if (fd_ < 0) {
    const std::size_t got = std::min<std::size_t>(most, memory_.size() - stored_read_);
    if (got > 0) std::memcpy(to, memory_.data() + stored_read_, got);
    stored_read_ += got;
    return got;
  }
  const ssize_t got = ReadSome(fd_, to, most);
  if (got < 0) fault_ = Errno("it cannot be read");
  if (got <= 0) return 0;
  stored_read_ += static_cast<std::uint64_t>(got);
  return static_cast<std::size_t>(got);
}

// Fills the chunk; 0 at the end, or with a fault.
std::size_t Input::Inflate() {
  zlib_.next_out = reinterpret_cast<Bytef*>(chunk_.data());
  zlib_.avail_out = static_cast<uInt>(chunk_.size());
  while (zlib_.avail_out == chunk_.size()) {
    if (zlib_.avail_in == 0) {
      stored_.resize(kChunkBytes);
      zlib_.next_in = reinterpret_cast<Bytef*>(stored_.data());
      zlib_.avail_in = static_cast<uInt>(ReadStored(stored_.data(), kChunkBytes));
      if (zlib_.avail_in == 0) {
        if (inflating_ && fault_.ok()) fault_ = absl::DataLossError("the gzip data end too early");
        return 0;
      }
    }
    if (!inflating_) {  // One stream has ended; another may follow, as gzip has it.
      if (inflateReset(&zlib_) != Z_OK) return 0;
      inflating_ = true;
    }
    const int result = inflate(&zlib_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      inflating_ = false;
    } else if (result != Z_OK) {
      fault_ = absl::DataLossError(absl::StrCat("the gzip data are damaged",
                                                zlib_.msg != nullptr ? ": " : "",
                                                zlib_.msg != nullptr ? zlib_.msg : ""));
      break;
    }
  }
  return chunk_.size() - zlib_.avail_out;
}

Input::int_type Input::underflow() {
  if (gptr() < egptr()) return traits_type::to_int_type(*gptr());
  if (!fault_.ok()) return traits_type::eof();
  if (offset() >= allowed_) {
    fault_ = absl::ResourceExhaustedError("a single value is too long");
    return traits_type::eof();
  }
  Count(egptr());
  chunk_offset_ = offset();
  const std::size_t got = compressed_ ? Inflate() : ReadStored(chunk_.data(), chunk_.size());
  setg(chunk_.data(), chunk_.data(), chunk_.data() + got);
  counted_ = chunk_.data();
  if (progress_) progress_();
  return got == 0 ? traits_type::eof() : traits_type::to_int_type(*gptr());
}

void Input::Count(const char* until) {
  while (counted_ < until) {
    const auto* found = static_cast<const char*>(
        std::memchr(counted_, '\n', static_cast<std::size_t>(until - counted_)));
    if (found == nullptr) break;
    ++line_;
    counted_ = found + 1;
    line_offset_ = chunk_offset_ + static_cast<std::uint64_t>(counted_ - eback());
  }
  counted_ = std::max(counted_, until);
}

Position Input::LastRead() {
  if (offset() == 0) return {};
  if (gptr() > eback()) Count(gptr() - 1);
  return {line_, offset() > line_offset_ ? offset() - line_offset_ : 1};
}

}  // namespace spanring::importer
