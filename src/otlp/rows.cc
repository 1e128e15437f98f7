#include "otlp/rows.h"

#include "absl/strings/str_cat.h"
#include "import/ids.h"
#include "import/loader.h"
#include "import/readers.h"

namespace spanring::otlp {
namespace {

class RowSink : public importer::Sink {
 public:
  RowSink(Form form, Rows* rows) : form_(form), rows_(*rows) {}

  bool Take(const importer::Span& span) override {
    flush::Batch& batch = rows_.batch;
    if (!MayWait(1)) return false;
    if (batch.data.size() >= kMostRowBytes) {
      status_ = absl::ResourceExhaustedError(
          "more than 64 MiB of rows, as each has what its resource says: send fewer spans");
      return false;
    }
    importer::AppendRow(span, batch.data);
    ++batch.rows;
    rows_.days.Note(span.start_ns);
    return true;
  }
  bool MayWait(std::size_t spans) override {
    if (rows_.batch.rows + spans <= kMostRows) return true;
    status_ = absl::ResourceExhaustedError(
        absl::StrCat("more spans than one request may have: send at most ", kMostRows));
    return false;
  }
  void Refuse(importer::Position position, std::string reason) override {
    ++rows_.refused;
    if (rows_.first_refusal.empty()) rows_.first_refusal = Said(position, reason);
  }
  void Fail(importer::Position position, std::string reason) override {
    if (status_.ok()) status_ = absl::InvalidArgumentError(Said(position, reason));
  }
  const absl::Status& status() const { return status_; }

 private:
  std::string Said(importer::Position position, const std::string& reason) const {
    if (form_ == Form::kProtobuf) return absl::StrCat("byte ", position.column, ": ", reason);
    return absl::StrCat("line ", position.line, ", column ", position.column, ": ", reason);
  }

  const Form form_;
  Rows& rows_;
  absl::Status status_;
};

}  // namespace

std::string_view ContentTypeOf(Form form) {
  return form == Form::kJson ? "application/json" : "application/x-protobuf";
}

absl::StatusOr<Rows> ReadRows(Form form, std::string_view body) {
  Rows rows;
  rows.batch.sequence = 1;
  RowSink sink(form, &rows);
  if (form == Form::kProtobuf) {
    importer::ReadOtlpProtobuf(body, &sink);
  } else {
    // An object: what is read as a file might be compressed once more.
    const std::size_t first = body.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || body[first] != '{') {
      return absl::InvalidArgumentError("the body is no JSON object");
    }
    const auto input = importer::Input::OfMemory(body);
    importer::ReadOtlp(input.get(), &sink);
  }
  if (!sink.status().ok()) return sink.status();
  rows.batch.bytes = rows.batch.data.size();
  rows.content =
      importer::ContentIdOf(body, absl::StrCat("spanring otlp ", std::string(ContentTypeOf(form))));
  return rows;
}

}  // namespace spanring::otlp
