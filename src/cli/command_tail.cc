// spanring tail
//
// trace_executions is found by when an execution began, and its rows become visible later than
// their times say: when a batch is committed, when a journal is delivered. So a poll reads three
// things, each bounded: the newest executions; those that were seen unfinished; and, a page further
// each time, all that began within a day before this command, round and round. What was printed is
// remembered by its id.
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

// $1 when the command began; filters, NULL for any: $2 statuses by comma, $3 job, $4 model, $5
// region, $6 service, $7 at least so many ms. An execution is over when its root is there and no
// span of it is open; one without a root when it has been still for a minute.
constexpr char kRows[] = R"sql(
SELECT
    execution_id, trace_unix_us(started_at) AS started_us, row_to_json(page) AS row,
    started_at::text AS started_at,
    status <> 'started'
        AND (root_operation IS NOT NULL OR ended_at < now() - interval '1 minute') AS is_over,
    coalesce(ended_at >= $1::timestamptz, true) AS is_new,
    ($2::text IS NULL OR status = ANY (string_to_array($2, ',')))
        AND ($3::text IS NULL OR job_id = $3)
        AND ($4::text IS NULL OR model_id = $4)
        AND ($5::text IS NULL OR region = $5)
        AND ($6::text IS NULL OR $6 = ANY (services))
        AND ($7::bigint IS NULL OR duration_ms >= $7) AS fits
FROM (@) AS page
ORDER BY ended_at, execution_id)sql";

// $8 how many, $9, $10 behind this start and id, newest first.
constexpr char kPage[] = R"sql(
SELECT * FROM trace_executions
WHERE started_at >= $1::timestamptz - interval '1 day'
  AND ($9::timestamptz IS NULL OR (started_at, execution_id) < ($9, $10::bigint))
ORDER BY started_at DESC, execution_id DESC
LIMIT $8::integer)sql";

// $8 ids.
constexpr char kKnown[] = R"sql(
SELECT * FROM trace_executions WHERE execution_id = ANY ($8::bigint[]))sql";

std::string Rows(const char* page) { return absl::StrReplaceAll(kRows, {{"@", page}}); }

class Follower {
 public:
  Follower(const Context& context, std::vector<pg::Parameter> filters)
      : context_(context), filters_(std::move(filters)) {}

  absl::Status Poll(const Session& session) {
    finished_.clear();
    if (absl::Status status = Newest(session); !status.ok()) return status;
    if (absl::Status status = Watched(session); !status.ok()) return status;
    if (absl::Status status = Sweep(session); !status.ok()) return status;
    PrintFinished();
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<pg::Result> Page(const Session& session, const pg::Parameter& before,
                                  const pg::Parameter& before_id) {
    std::vector<pg::Parameter> parameters = filters_;
    parameters.insert(parameters.end(), {std::to_string(kPageRows), before, before_id});
    return session.Query(Rows(kPage), parameters);
  }

  absl::Status Newest(const Session& session) {
    const absl::StatusOr<pg::Result> page = Page(session, std::nullopt, std::nullopt);
    if (!page.ok()) return page.status();
    Take(*page);
    return absl::OkStatus();
  }

  absl::Status Watched(const Session& session) {
    if (watched_.empty()) return absl::OkStatus();
    std::vector<pg::Parameter> parameters = filters_;
    parameters.push_back(absl::StrCat("{", absl::StrJoin(watched_, ","), "}"));
    const absl::StatusOr<pg::Result> rows = session.Query(Rows(kKnown), parameters);
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
      if (Field(rows, row, "is_new") != "t" || !printed_.insert(id).second) continue;
      if (Field(rows, row, "fits") == "t") finished_.push_back(Field(rows, row, "row"));
    }
  }

  void PrintFinished() {
    if (context_.options.json) {
      for (const std::string& row : finished_) Print(EscapeJson(row));
    } else if (!finished_.empty()) {
      std::vector<TableRow> rows;
      for (const std::string& row : finished_) {
        rows.push_back(ExecutionRow(nlohmann::json::parse(row, nullptr, false)));
      }
      std::vector<std::string> lines = DrawTable(Columns(), rows, context_.width, context_.style);
      if (has_title_) lines.erase(lines.begin());
      has_title_ = true;
      Print(lines);
    }
    std::fflush(stdout);
  }

  // As wide as most are, so that what comes later stands below.
  static std::vector<TableColumn> Columns() {
    constexpr std::size_t kUsual[] = {1, 9, 9, 9, 20, 8, 8, 7};
    std::vector<TableColumn> columns = ExecutionColumns();
    for (std::size_t i = 0; i < std::min(columns.size(), std::size(kUsual)); ++i) {
      const std::size_t width = std::max(kUsual[i], columns[i].title.size());
      columns[i].title = columns[i].right_aligned ? PadLeft(columns[i].title, width)
                                                  : PadRight(columns[i].title, width);
    }
    return columns;
  }

  const Context& context_;
  const std::vector<pg::Parameter> filters_;
  absl::flat_hash_set<std::int64_t> watched_;  // Seen, and not over.
  absl::flat_hash_set<std::int64_t> printed_;  // Or left out, being over.
  pg::Parameter swept_to_;
  pg::Parameter swept_to_id_;
  std::vector<std::string> finished_;
  bool has_title_ = false;
};

}  // namespace

absl::StatusOr<int> Tail(const Context& context, const ExecutionFilters& filters) {
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) return session.status();
  const absl::StatusOr<std::string> began =
      ResolveSince(*session, filters.since.empty() ? "now" : filters.since);
  if (!began.ok()) return began.status();
  std::vector<pg::Parameter> parameters = NameParameters(filters);
  parameters.insert(parameters.begin(), *began);
  parameters.push_back(DurationParameter(filters));
  Follower follower(context, std::move(parameters));
  EndQuietlyOnSignals();
  bool told = false;
  for (bool first = true;; first = false) {
    absl::Status status = session.ok() ? follower.Poll(*session) : session.status();
    // The first failure says what is wrong with the question; a connection may come back.
    if (!status.ok() && (first || !absl::IsUnavailable(status))) return status;
    if (!status.ok() && !told) PrintNote(absl::StrCat(std::string(status.message()), ": waiting"));
    told = !status.ok();
    std::this_thread::sleep_for(kPause);
    if (told) session = Session::Open(context);
  }
}

}  // namespace spanring::cli
