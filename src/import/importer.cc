#include "import/importer.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "import/ids.h"
#include "import/input.h"
#include "import/readers.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace spanring::importer {
namespace {

struct HashStateDeleter {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

// From the uncompressed content and from what decides how it is read.
absl::StatusOr<TraceId> WriterOf(Format format, Input* input) {
  if (absl::Status status = input->Rewind(); !status.ok()) return status;
  const std::unique_ptr<XXH3_state_t, HashStateDeleter> state(XXH3_createState());
  XXH3_128bits_reset(state.get());
  std::vector<char> piece(std::size_t{64} * 1024);
  for (;;) {
    const std::streamsize got =
        input->sgetn(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (got <= 0) break;
    XXH3_128bits_update(state.get(), piece.data(), static_cast<std::size_t>(got));
  }
  // Content that is damaged somewhere is taken up to there, and hashed up to there.
  const std::string how = absl::StrCat("spanring import ", std::string(NameOf(format)));
  XXH3_128bits_update(state.get(), how.data(), how.size());
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return ContentId(hash.high64, hash.low64);
}

class FileSink : public Sink {
 public:
  FileSink(Loader* loader, FileReport* report) : loader_(loader), report_(*report) {}

  bool Take(const Span& span) override {
    if (!status_.ok()) return false;
    ++report_.spans;
    if (loader_ != nullptr) status_ = loader_->Add(span);
    return status_.ok();
  }
  void Refuse(Position position, std::string reason) override {
    ++report_.refused;
    if (report_.refusals.size() < kMostRefusals) {
      report_.refusals.push_back({position, std::move(reason)});
    }
  }
  void Fail(Position position, std::string reason) override {
    if (!report_.failure) report_.failure = Refusal{position, std::move(reason)};
  }
  const absl::Status& status() const { return status_; }

 private:
  Loader* const loader_;
  FileReport& report_;
  absl::Status status_;
};

std::string Words(const absl::Status& status) { return std::string(status.message()); }

}  // namespace

absl::Status ImportFile(const std::string& file, const ImportOptions& options, Loader* loader,
                        FileReport* report) {
  report->file = file;
  auto opened = Input::Open(file);
  if (!opened.ok()) {
    report->unreadable = Words(opened.status());
    return absl::OkStatus();
  }
  Input& input = **opened;
  absl::StatusOr<Format> format = options.format ? *options.format : Detect(&input);
  bool checking = true;
  if (options.progress) {
    input.OnProgress([&] {
      options.progress({.file = file,
                        .bytes_read = input.stored_bytes_read(),
                        .bytes = input.stored_bytes(),
                        .spans = report->spans,
                        .checking = checking});
    });
  }
  absl::StatusOr<TraceId> writer = format.ok() ? WriterOf(*format, &input) : format.status();
  absl::Status readable = writer.status();
  if (readable.ok()) readable = input.Rewind();
  if (!readable.ok()) {
    report->unreadable = Words(readable);
    return absl::OkStatus();
  }
  report->format = *format;
  report->writer = *writer;
  checking = false;
  if (loader != nullptr) loader->Begin(*writer);
  FileSink sink(loader, report);
  Read(*format, &input, &sink);
  absl::Status status = sink.status();
  if (loader == nullptr) return status;
  if (status.ok()) status = loader->Finish();
  report->loaded = loader->loaded();
  report->first_rejection = loader->first_rejection();
  return status;
}

}  // namespace spanring::importer
