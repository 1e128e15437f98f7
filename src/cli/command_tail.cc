// spanring tail
//
// trace_executions is found by when an execution began, and its rows become visible later than
// their times say: when a batch is committed, when a journal is delivered. So a poll reads three
// things, each bounded: the newest executions; those that were seen unfinished; and, a page further
// each time, all that began within a day before this command, round and round. Those that have
// finished meanwhile are asked for as `spanring list` asks, which knows the filters. What was
// printed is remembered by its id.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "answers/questions.h"
#include "cli/commands.h"
#include "cli/execution_rows.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/terminal.h"

namespace spanring::cli {
namespace {

constexpr std::chrono::milliseconds kPause{1000};
constexpr std::size_t kPageRows = 2000;
constexpr std::size_t kMostWatched = 20'000;

// $1 when the command began. An execution is over when its root is there and no span of it is open;
// one without a root when it has been still for a minute.
constexpr char kRows[] = R"sql(
SELECT
    execution_id, trace_unix_us(started_at) AS started_us, started_at::text AS started_at,
    status <> 'started'
        AND (root_operation IS NOT NULL OR ended_at < now() - interval '1 minute') AS is_over,
    coalesce(ended_at >= $1::timestamptz, true) AS is_new
FROM (@) AS page
ORDER BY ended_at, execution_id)sql";

// $2 how many, $3, $4 behind this start and id, newest first.
constexpr char kPage[] = R"sql(
SELECT * FROM trace_executions
WHERE started_at >= $1::timestamptz - interval '1 day'
  AND ($3::timestamptz IS NULL OR (started_at, execution_id) < ($3, $4::bigint))
ORDER BY started_at DESC, execution_id DESC
LIMIT $2::integer)sql";

// $2 ids.
constexpr char kKnown[] = R"sql(
SELECT * FROM trace_executions WHERE execution_id = ANY ($2::bigint[]))sql";

// In the order of the ids. Each as it is in the list's JSON.
constexpr char kFitting[] = R"sql(
SELECT execution.row::text AS row
FROM (@) AS listed (answer), json_array_elements(listed.answer -> 'executions') AS execution (row)
ORDER BY array_position($12, (execution.row ->> 'execution_id')::bigint))sql";

std::string Rows(const char* page) { return absl::StrReplaceAll(kRows, {{"@", page}}); }

template <typename Ids>
std::string Array(const Ids& ids) {
  return absl::StrCat("{", absl::StrJoin(ids, ","), "}");
}

class Follower {
 public:
  Follower(const Context& context, const ExecutionFilters& filters, std::string began)
      : context_(context), filters_(filters), began_(std::move(began)) {}

  absl::Status Poll(const Session& session) {
    if (absl::Status status = Newest(session); !status.ok()) return status;
    if (absl::Status status = Watched(session); !status.ok()) return status;
    if (absl::Status status = Sweep(session); !status.ok()) return status;
    return PrintFinished(session);
  }

 private:
  absl::StatusOr<pg::Result> Page(const Session& session, const pg::Parameter& before,
                                  const pg::Parameter& before_id) {
    return session.Query(Rows(kPage), {began_, std::to_string(kPageRows), before, before_id});
  }

  absl::Status Newest(const Session& session) {
    const absl::StatusOr<pg::Result> page = Page(session, std::nullopt, std::nullopt);
    if (!page.ok()) return page.status();
    Take(*page);
    return absl::OkStatus();
  }

  absl::Status Watched(const Session& session) {
    if (watched_.empty()) return absl::OkStatus();
    const absl::StatusOr<pg::Result> rows = session.Query(Rows(kKnown), {began_, Array(watched_)});
    if (!rows.ok()) return rows.status();
    Take(*rows);
    return absl::OkStatus();
  }

  absl::Status Sweep(const Session& session) {
    const absl::StatusOr<pg::Result> page = Page(session, swept_to_, swept_to_id_);
    if (!page.ok()) return page.status();
    Take(*page);
    swept_to_.reset();
    swept_to_id_.reset();
    if (PQntuples(page->get()) < static_cast<int>(kPageRows)) return absl::OkStatus();
    std::int64_t least_us = INT64_MAX;
    std::int64_t least_id = INT64_MAX;
    for (int row = 0; row < PQntuples(page->get()); ++row) {
      const std::int64_t us = Number(*page, row, "started_us");
      const std::int64_t id = Number(*page, row, "execution_id");
      if (std::pair(us, id) > std::pair(least_us, least_id)) continue;
      least_us = us;
      least_id = id;
      swept_to_ = Field(*page, row, "started_at");
      swept_to_id_ = std::to_string(id);
    }
    return absl::OkStatus();
  }

  static std::int64_t Number(const pg::Result& result, int row, const char* column) {
    return std::strtoll(Field(result, row, column).c_str(), nullptr, 10);
  }

  void Take(const pg::Result& rows) {
    for (int row = 0; row < PQntuples(rows.get()); ++row) {
      const std::int64_t id = Number(rows, row, "execution_id");
      if (Field(rows, row, "is_over") != "t") {
        if (watched_.size() < kMostWatched) watched_.insert(id);
        continue;
      }
      watched_.erase(id);
      if (Field(rows, row, "is_new") == "t" && printed_.insert(id).second) finished_.push_back(id);
    }
  }

  // Where it fails, the next poll prints them.
  absl::Status PrintFinished(const Session& session) {
    if (finished_.empty()) return absl::OkStatus();
    const absl::StatusOr<pg::Result> fitting =
        session.Query(absl::StrReplaceAll(kFitting, {{"@", answers::kExecutions}}),
                      ListParameters(filters_, finished_.size(), std::nullopt, Array(finished_)));
    if (!fitting.ok()) return fitting.status();
    finished_.clear();
    std::vector<TableRow> rows;
    for (int i = 0; i < PQntuples(fitting->get()); ++i) {
      const std::string row = Field(*fitting, i, "row");
      if (context_.options.json) {
        Print(EscapeJson(row));
      } else {
        rows.push_back(ExecutionRow(nlohmann::json::parse(row, nullptr, false), filters_.causes));
      }
    }
    if (!rows.empty()) {
      std::vector<std::string> lines =
          DrawTable(Columns(filters_.causes), rows, context_.width, context_.style);
      if (has_title_) lines.erase(lines.begin());
      has_title_ = true;
      Print(lines);
    }
    std::fflush(stdout);
    return absl::OkStatus();
  }

  // As wide as most are, so that what comes later stands below.
  static std::vector<TableColumn> Columns(bool causes) {
    constexpr std::size_t kUsual[] = {1, 9, 9, 9, 20, 8, 8, 7};
    std::vector<TableColumn> columns = ExecutionColumns(causes);
    for (std::size_t i = 0; i < std::min(columns.size(), std::size(kUsual)); ++i) {
      const std::size_t width = std::max(kUsual[i], columns[i].title.size());
      columns[i].title = columns[i].right_aligned ? PadLeft(columns[i].title, width)
                                                  : PadRight(columns[i].title, width);
    }
    return columns;
  }

  const Context& context_;
  const ExecutionFilters& filters_;
  const std::string began_;
  absl::flat_hash_set<std::int64_t> watched_;  // Seen, and not over.
  absl::flat_hash_set<std::int64_t> printed_;  // Or about to be, or left out by the filters.
  pg::Parameter swept_to_;
  pg::Parameter swept_to_id_;
  std::vector<std::int64_t> finished_;  // To be printed, if they fit.
  bool has_title_ = false;
};

}  // namespace

absl::StatusOr<int> Tail(const Context& context, const ExecutionFilters& filters) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<std::string> began =
      ResolveSince(*session, filters.since.empty() ? "now" : filters.since);
  if (!began.ok()) return began.status();
  Follower follower(context, filters, *began);
  EndQuietlyOnSignals();
  bool told = false;
  for (bool first = true;; first = false) {
    absl::Status status = session.ok() ? follower.Poll(*session) : session.status();
    // The first failure says what is wrong with the question; a connection may come back.
    if (!status.ok() && (first || !absl::IsUnavailable(status))) return status;
    if (!status.ok() && !told) PrintNote(absl::StrCat(std::string(status.message()), ": waiting"));
    told = !status.ok();
    if (first && context.progress) {
      PrintNote("an execution is shown when it has finished; Ctrl-C ends this");
    }
    std::this_thread::sleep_for(kPause);
    if (told) session = Session::Open(context);
  }
}

}  // namespace spanring::cli
