// spanring import
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/render/text.h"
#include "cli/render/units.h"
#include "import/importer.h"

namespace spanring::cli {
namespace {

using importer::FileReport;
using Clock = std::chrono::steady_clock;

std::string Count(std::uint64_t n) { return FormatCount(static_cast<std::int64_t>(n)); }
std::string Spans(std::uint64_t n) { return Count(n) + (n == 1 ? " span" : " spans"); }
std::string NameOf(const std::string& file) { return file == "-" ? "standard input" : file; }

// On stderr, rewritten in place; nothing where that is no terminal.
class Progress {
 public:
  explicit Progress(const Context& context)
      : shown_(context.progress), width_(ChooseWidth(context.options.width, /*stderr*/ 2)) {}
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(const importer::ProgressNow& now) {
    constexpr std::chrono::milliseconds kPause{100};
    const Clock::time_point time = Clock::now();
    if (now.checking) began_ = time;
    if (!shown_ || time - drawn_at_ < kPause) return;
    drawn_at_ = time;
    drawn_ = true;
    const double part =
        now.bytes == 0
            ? 1.0
            : std::min(1.0, static_cast<double>(now.bytes_read) / static_cast<double>(now.bytes));
    constexpr std::size_t kColumns = 24;
    const auto full = static_cast<std::size_t>(part * kColumns);
    std::string bar;
    for (std::size_t i = 0; i < kColumns; ++i) bar += i < full ? "█" : "░";
    const double seconds = std::chrono::duration<double>(time - began_).count();
    const std::string rate =
        now.checking ? "checking"
                     : absl::StrCat(Spans(now.spans), ", ",
                                    Count(static_cast<std::uint64_t>(
                                        static_cast<double>(now.spans) / std::max(seconds, 0.1))),
                                    "/s");
    const std::string line = absl::StrCat(bar, " ", static_cast<int>(part * 100), " %  ", rate,
                                          "  ", Escape(NameOf(now.file)));
    std::fputs(absl::StrCat("\r\033[K", Truncate(line, width_ - 1)).c_str(), stderr);
    std::fflush(stderr);
  }
  void Clear() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
  }

 private:
  const bool shown_;
  const std::size_t width_;
  bool drawn_ = false;
  Clock::time_point drawn_at_;
  Clock::time_point began_ = Clock::now();
};

void NoteProblems(const FileReport& report) {
  const std::string file = NameOf(report.file);
  const auto at = [&](const importer::Position& position) {
    return absl::StrCat(file, ":", position.line, ":", position.column, ": ");
  };
  if (!report.unreadable.empty()) PrintNote(absl::StrCat(file, ": ", report.unreadable));
  for (const importer::Refusal& refusal : report.refusals) {
    PrintNote(absl::StrCat(at(refusal.position), "refused: ", refusal.reason));
  }
  if (report.refused > report.refusals.size()) {
    PrintNote(absl::StrCat(file, ": and ", Count(report.refused - report.refusals.size()),
                           " more refused"));
  }
  if (report.failure) {
    PrintNote(absl::StrCat(at(report.failure->position), report.failure->reason,
                           ": nothing behind it was read"));
  }
  if (report.loaded.rejected > 0) {
    PrintNote(
        absl::StrCat(file, ": ", Spans(report.loaded.rejected), " lost: ", report.first_rejection));
  }
}

std::string Summary(const FileReport& report, bool dry_run) {
  std::vector<std::string> parts;
  if (dry_run) {
    parts.push_back(Spans(report.spans) + " could be imported");
  } else {
    if (report.loaded.already_there > 0) {
      parts.push_back("already imported: " + Spans(report.loaded.already_there));
    }
    if (report.loaded.stored > 0 || parts.empty()) {
      parts.push_back(Spans(report.loaded.stored) + " imported");
    }
    if (report.loaded.rejected > 0) {
      parts.push_back(Count(report.loaded.rejected) + " rejected by the server");
    }
  }
  if (report.refused > 0) parts.push_back(Count(report.refused) + " refused");
  if (report.failure) parts.push_back("not read to its end");
  return absl::StrJoin(parts, ", ");
}

void PrintFile(const FileReport& report, bool dry_run) {
  if (!report.unreadable.empty()) return;
  Print(absl::StrCat(Escape(NameOf(report.file)), " (",
                     std::string(importer::NameOf(*report.format)),
                     "): ", Summary(report, dry_run)));
}

FileReport SumOf(const std::vector<FileReport>& reports) {
  FileReport sum;
  for (const FileReport& report : reports) {
    sum.spans += report.spans;
    sum.refused += report.refused;
    sum.loaded.stored += report.loaded.stored;
    sum.loaded.already_there += report.loaded.already_there;
    sum.loaded.rejected += report.loaded.rejected;
  }
  return sum;
}

nlohmann::json CountsOf(const FileReport& report) {
  return {{"spans", report.spans},
          {"imported", report.loaded.stored},
          {"already_imported", report.loaded.already_there},
          {"refused", report.refused},
          {"rejected", report.loaded.rejected}};
}

nlohmann::json JsonOf(const importer::Refusal& refusal) {
  return {{"line", refusal.position.line},
          {"column", refusal.position.column},
          {"reason", refusal.reason}};
}

void PrintJson(const std::vector<FileReport>& reports, bool dry_run) {
  nlohmann::json files = nlohmann::json::array();
  for (const FileReport& report : reports) {
    nlohmann::json file = CountsOf(report);
    file["file"] = report.file;
    file["format"] = nullptr;
    file["writer_id"] = nullptr;
    if (report.unreadable.empty()) {
      file["format"] = std::string(importer::NameOf(*report.format));
      file["writer_id"] = report.writer.ToUuid();
    } else {
      file["error"] = {{"reason", report.unreadable}};
    }
    if (report.failure) file["error"] = JsonOf(*report.failure);
    file["refusals"] = nlohmann::json::array();
    for (const importer::Refusal& refusal : report.refusals) {
      file["refusals"].push_back(JsonOf(refusal));
    }
    files.push_back(std::move(file));
  }
  nlohmann::json answer = CountsOf(SumOf(reports));
  answer["dry_run"] = dry_run;
  answer["files"] = std::move(files);
  Print(answer.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

// What the loader met, as the other commands tell it.
absl::Status Explained(const Context& context, const Target& target, const absl::Status& status) {
  if (status.ok()) return status;
  if (pg::SqlState(status) == "42501") {
    return absl::FailedPreconditionError(absl::StrCat(
        std::string(status.message()), ": ask for the role: GRANT spanring_writer TO the user"));
  }
  const absl::Status explained = Explain(context, target, status);
  if (!absl::IsUnavailable(explained)) return explained;
  return absl::UnavailableError(absl::StrCat(std::string(explained.message()),
                                             "; the same command goes on where this one stopped"));
}

// Says at once what is wrong with the database, before a long file is read.
absl::StatusOr<std::unique_ptr<importer::Loader>> OpenLoader(const Context& context,
                                                             Target* target) {
  const absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  *target = session->target();
  const auto there = session->Query(
      "SELECT 'trace_batches'::regclass, "
      "'trace_writer_started(uuid,text,text,integer,text)'::regprocedure");
  if (!there.ok()) return there.status();
  return std::make_unique<importer::Loader>(target->conninfo, SPANRING_VERSION);
}

}  // namespace

absl::StatusOr<int> Import(const Context& context, const std::vector<std::string>& files,
                           const std::string& format, bool dry_run) {
  Target target;
  std::unique_ptr<importer::Loader> loader;
  if (!dry_run) {
    auto opened = OpenLoader(context, &target);
    if (!opened.ok()) return opened.status();
    loader = *std::move(opened);
  }
  Progress progress(context);
  const importer::ImportOptions options{
      .format = importer::FormatNamed(format),
      .progress = [&](const importer::ProgressNow& now) { progress.Show(now); }};
  std::vector<FileReport> reports;
  absl::Status status;
  for (const std::string& file : files) {
    FileReport& report = reports.emplace_back();
    status = importer::ImportFile(file, options, loader.get(), &report);
    progress.Clear();
    NoteProblems(report);
    if (!context.options.json) PrintFile(report, dry_run);
    if (!status.ok()) break;
  }
  if (context.options.json) {
    PrintJson(reports, dry_run);
  } else if (reports.size() > 1) {
    Print(absl::StrCat(Count(reports.size()), " files: ", Summary(SumOf(reports), dry_run)));
  }
  if (!status.ok()) return Explained(context, target, status);
  const bool fine = std::all_of(reports.begin(), reports.end(),
                                [](const FileReport& report) { return report.fine(); });
  return fine ? kExitOk : kExitBadAnswer;
}

}  // namespace spanring::cli
