// Comma-separated values, one span a line, as the data set Nezha has them:
// https://github.com/IntelligentDDS/Nezha
#include <csv.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "import/attributes.h"
#include "import/readers.h"

namespace spanring::importer {
namespace {

constexpr std::int64_t kNs = 1;
constexpr std::int64_t kUs = 1000;
constexpr std::size_t kMostFieldBytes = std::size_t{1} << 20;
constexpr std::size_t kMostColumns = 1000;

// Where a quote is never closed, all that follows is one field.
void* BoundedRealloc(void* memory, std::size_t bytes) {
  return bytes > kMostFieldBytes ? nullptr : std::realloc(memory, bytes);
}

// "front-end-579b9bff58-t2dbm" is a pod of the deployment "front-end".
std::string_view ServiceOfPod(std::string_view pod) {
  std::string_view name = pod;
  for (int i = 0; i < 2; ++i) {
    const auto dash = name.rfind('-');
    if (dash == std::string_view::npos || dash == 0) return pod;
    name = name.substr(0, dash);
  }
  return name;
}

enum Column {
  kTrace,
  kSpanId,
  kParent,
  kPod,
  kService,
  kOperation,
  kStart,
  kEnd,
  kDuration,
  kNone
};

Column ColumnNamed(std::string_view name) {
  static constexpr std::array<std::string_view, kNone> kNames = {
      "traceid",           "spanid",          "parentid", "podname", "servicename", "operationname",
      "starttimeunixnano", "endtimeunixnano", "duration"};
  std::string plain = absl::AsciiStrToLower(std::string(name));
  std::erase_if(plain, [](char c) { return c == '_' || c == ' ' || c == '-'; });
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == plain) return static_cast<Column>(i);
  }
  return kNone;
}

class CsvReader {
 public:
  explicit CsvReader(Sink* sink) : sink_(*sink) {
    csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
    csv_set_realloc_func(&parser_, BoundedRealloc);
    // Space belongs to the field.
    csv_set_space_func(&parser_, [](unsigned char) { return 0; });
  }
  ~CsvReader() { csv_free(&parser_); }
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

  // A piece that ends with a line, or at the end of the file.
  bool Parse(std::string_view piece) {
    const std::size_t parsed =
        csv_parse(&parser_, piece.data(), piece.size(), &OnField, &OnRow, this);
    return Checked(parsed == piece.size());
  }
  bool Finish() {
    if (!Checked(csv_fini(&parser_, &OnField, &OnRow, this) == 0)) return false;
    if (!has_header_) sink_.Fail({}, "it is empty");
    return has_header_;
  }
  void NextLine() {
    ++line_;
    if (fields_.empty()) row_line_ = line_;  // Else a field goes on in it.
  }

 private:
  static void OnField(void* text, std::size_t size, void* self) {
    auto& reader = *static_cast<CsvReader*>(self);
    // One more than is used tells that there are too many.
    if (reader.fields_.size() > kMostColumns) return;
    reader.fields_.push_back(base::Sanitized({static_cast<const char*>(text), size}));
  }
  static void OnRow(int, void* self) { static_cast<CsvReader*>(self)->EndRow(); }

  bool Checked(bool parsed) {
    if (!parsed) {
      const int error = csv_error(&parser_);
      sink_.Fail({row_line_, 1}, error == CSV_EPARSE || error == CSV_SUCCESS
                                     ? "a quote is not closed, or stands amid a field"
                                     : "a field is longer than 1 MiB: is a quote not closed?");
      return false;
    }
    return more_;
  }

  void EndRow() {
    if (!more_) {
    } else if (!has_header_) {
      ReadHeader();
    } else if (fields_.size() != header_.size()) {
      sink_.Refuse({row_line_, 1},
                   absl::StrCat("it has ", fields_.size(), " fields, the header ", header_.size()));
    } else {
      ReadRow();
    }
    fields_.clear();
  }

  void ReadHeader() {
    has_header_ = true;
    columns_.assign(kNone, std::nullopt);
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const Column column = ColumnNamed(fields_[i]);
      used_.push_back(column != kNone && !columns_[column]);
      if (used_.back()) columns_[column] = i;
    }
    header_ = std::move(fields_);
    const auto has = [&](Column column) { return columns_[column].has_value(); };
    const bool complete = has(kTrace) && has(kSpanId) && has(kOperation) && has(kStart) &&
                          (has(kEnd) || has(kDuration)) && (has(kPod) || has(kService)) &&
                          header_.size() <= kMostColumns;
    if (complete) return;
    more_ = false;
    sink_.Fail({1, 1},
               "its header lacks one of TraceID, SpanID, OperationName, StartTimeUnixNano, "
               "EndTimeUnixNano or Duration, PodName or ServiceName");
  }

  std::string_view Field(Column column) const {
    return columns_[column] ? std::string_view(fields_[*columns_[column]]) : std::string_view();
  }

  void ReadRow() {
    Draft draft;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (!used_[i] && !fields_[i].empty()) draft.attributes[header_[i]] = fields_[i];
    }
    const std::string_view parent = Field(kParent);
    draft.SetIds(Field(kTrace), Field(kSpanId), parent == "root" ? "" : parent);
    const Json start = std::string(Field(kStart));
    if (draft.refusal.empty()) draft.SetStart(&start, kNs, "StartTimeUnixNano");
    if (draft.refusal.empty()) ReadEnd(&draft);
    if (!draft.refusal.empty()) return sink_.Refuse({row_line_, 1}, std::move(draft.refusal));
    draft.span.operation = NameText(Field(kOperation));
    draft.Finish();
    const std::string_view pod = Field(kPod);
    if (pod != pod_ || Field(kService) != service_) {
      pod_ = pod;
      service_ = Field(kService);
      Json attributes = Json::object();
      if (!pod.empty()) attributes["k8s.pod.name"] = pod_;
      resource_ = Resource::From(service_.empty() ? ServiceOfPod(pod) : service_, attributes);
    }
    resource_.ApplyTo(&draft.span);
    more_ = sink_.Take(draft.span);
  }

  void ReadEnd(Draft* draft) {
    if (const std::string_view end = Field(kEnd); !end.empty()) {
      const auto end_ns = IntegerOf(Json(std::string(end)));
      if (end_ns) return draft->SetEnd(*end_ns);
      draft->refusal = "EndTimeUnixNano is no time";
    } else if (const std::string_view duration = Field(kDuration); !duration.empty()) {
      const Json value = std::string(duration);
      draft->SetDuration(&value, kUs, "Duration");
    }
  }

  Sink& sink_;
  csv_parser parser_;
  bool has_header_ = false;
  bool more_ = true;
  std::vector<std::string> header_;
  std::vector<std::optional<std::size_t>> columns_;
  std::vector<bool> used_;
  std::vector<std::string> fields_;
  std::uint64_t line_ = 1;
  std::uint64_t row_line_ = 1;

  // Of the row before, which mostly is this one's too.
  std::string pod_;
  std::string service_;
  Resource resource_ = Resource::From("", Json());
};

}  // namespace

void ReadCsv(Input* input, Sink* sink) {
  CsvReader reader(sink);
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  constexpr std::size_t kPieceBytes = std::size_t{64} * 1024;
  std::string piece;
  bool first = true;
  bool more = true;
  const auto parse = [&] {
    std::string_view text = piece;
    if (first && text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    first = false;
    more = reader.Parse(text);
    piece.clear();
  };
  for (int c = input->sbumpc(); more && c != EOF; c = input->sbumpc()) {
    piece.push_back(static_cast<char>(c));
    if (c == '\n' || piece.size() == kPieceBytes) parse();
    if (c == '\n') reader.NextLine();
  }
  if (more && !piece.empty()) parse();
  if (!input->fault().ok()) {
    sink->Fail(input->LastRead(), std::string(input->fault().message()));
  } else if (more) {
    reader.Finish();
  }
}

}  // namespace spanring::importer
