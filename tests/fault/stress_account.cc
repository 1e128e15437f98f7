#include "fault/stress_account.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"

namespace spanring::test {
namespace {

// Whole partitions change hands: it takes a moment, and writers wait for it no longer than for any
// other lock. What is in the default partition is moved.
constexpr char kHarvestFunction[] = R"(
CREATE FUNCTION stress_harvest(p_number integer) RETURNS void LANGUAGE plpgsql
SET lock_timeout = '2s' AS $$
DECLARE
    v_part  name;
    v_table name;
    v_any   boolean;
    v_count integer := 0;
BEGIN
    LOCK TABLE trace_spans IN ACCESS EXCLUSIVE MODE;
    FOR v_part IN
        SELECT parts.relname FROM pg_inherits
        JOIN pg_class AS parts ON parts.oid = inhrelid
        WHERE inhparent = 'trace_spans'::regclass ORDER BY parts.relname DESC
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', v_part) INTO v_any;
        CONTINUE WHEN NOT v_any;
        v_count := v_count + 1;
        v_table := format('harvest_%s_%s', p_number, v_count);
        IF v_part = 'trace_spans_default' THEN
            EXECUTE format('CREATE TABLE %I AS SELECT * FROM trace_spans_default', v_table);
            TRUNCATE trace_spans_default;
        ELSE
            EXECUTE format('ALTER TABLE trace_spans DETACH PARTITION %I', v_part);
            EXECUTE format('ALTER TABLE %I RENAME TO %I', v_part, v_table);
        END IF;
    END LOOP;
    PERFORM trace_ensure_partitions();
END
$$;)";

constexpr char kTables[] =
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'harvest\\_%'";

// The threads that may be killed while they have counted a span that is nowhere yet: one each.
constexpr std::uint64_t kMostAmidAStart = kLogThreads;

std::uint64_t Big64(std::string_view bytes, std::size_t at) {
  std::uint64_t wire = 0;
  std::memcpy(&wire, bytes.data() + at, sizeof(wire));
  return __builtin_bswap64(wire);
}

std::uint64_t Read(const Word& word) {
  return word.load(std::memory_order_relaxed);  // relaxed: its writer is gone.
}

const char* NameOf(Lane lane) {
  return lane == Lane::kShort ? "short" : lane == Lane::kMoved ? "moved" : "long";
}

}  // namespace

void Account::Add(const Account& other) {
  offered += other.offered;
  started += other.started;
  found += other.found;
  found_open += other.found_open;
  doubled += other.doubled;
  missing += other.missing;
  overcount += other.overcount;
  for (const auto& [reason, spans] : other.drops) drops[reason] += spans;
}

std::uint64_t Account::dropped() const {
  std::uint64_t all = 0;
  for (const auto& [reason, spans] : drops) all += spans;
  return all;
}

bool Accounts::Connect() {
  if (connection_ != nullptr && PQstatus(connection_.get()) == CONNECTION_OK) return true;
  auto connection = pg::Connect(conninfo_, "stress accounts");
  if (!connection.ok()) return false;
  connection_ = *std::move(connection);
  return true;
}

void Accounts::Prepare() {
  if (!Connect()) throw std::runtime_error("no connection");
  RunSql(connection_.get(), kHarvestFunction);
}

bool Accounts::Number(const std::string& sql, std::int64_t* number) {
  if (!Connect()) return false;
  const auto result = pg::Query(connection_.get(), sql);
  if (!result.ok() || PQntuples(result->get()) != 1) return false;
  *number = std::strtoll(PQgetvalue(result->get(), 0, 0), nullptr, 10);
  return true;
}

bool Accounts::Harvest(std::uint64_t* rows) {
  *rows = 0;
  if (!Connect()) return false;
  const absl::Status taken =
      pg::Execute(connection_.get(), absl::StrCat("SELECT stress_harvest(", ++harvests_, ")"));
  failure_ = taken.ok() ? "" : taken.ToString();
  if (!Connect()) return false;
  const auto tables = pg::Query(connection_.get(), kTables);
  if (!tables.ok()) return false;
  for (int i = 0; i < PQntuples(tables->get()); ++i) {
    const std::string table(pg::Cell(tables->get(), i, 0));
    // The answer to an earlier DROP may have been lost, and the DROP with it.
    if (!booked_.contains(table)) {
      std::vector<Row> read;
      if (!TakeTable(table, &read)) return false;
      booked_.insert(table);
      for (const Row& row : read) Enter(row);
      *rows += read.size();
    }
    if (!pg::Execute(connection_.get(), "DROP TABLE " + table).ok()) return false;
  }
  harvested_ += *rows;
  return taken.ok();
}

bool Accounts::TakeTable(const std::string& table, std::vector<Row>* rows) {
  const std::string sql = absl::StrCat(
      "COPY (SELECT trace_id, status, error_type, operation, (metadata->>'n')::bigint FROM ", table,
      ") TO STDOUT (FORMAT binary)");
  const pg::Result begun(PQexec(connection_.get(), sql.c_str()));
  if (PQresultStatus(begun.get()) != PGRES_COPY_OUT) return false;
  bool first = true;
  for (;;) {
    char* data = nullptr;
    const int size = PQgetCopyData(connection_.get(), &data, 0);
    if (size <= 0) {
      if (size < -1) return false;
      break;
    }
    std::string_view row(data, static_cast<std::size_t>(size));
    if (std::exchange(first, false)) row.remove_prefix(std::min<std::size_t>(19, row.size()));
    Row read{};
    if (row.size() > 2 && ReadRow(row, &read)) rows->push_back(read);
    PQfreemem(data);
  }
  bool whole = true;
  for (;;) {
    const pg::Result end(PQgetResult(connection_.get()));
    if (end == nullptr) return whole;
    whole &= PQresultStatus(end.get()) == PGRES_COMMAND_OK;
  }
}

// Of the columns above: each a length, -1 for NULL, and its bytes.
bool Accounts::ReadRow(std::string_view data, Row* row) {
  std::array<std::string_view, 5> columns;
  std::size_t at = 2;
  for (std::string_view& column : columns) {
    std::uint32_t wire = 0;
    std::memcpy(&wire, data.data() + at, sizeof(wire));
    const auto length = static_cast<std::int32_t>(__builtin_bswap32(wire));
    at += sizeof(wire);
    if (length <= 0) continue;
    column = data.substr(at, static_cast<std::size_t>(length));
    at += static_cast<std::size_t>(length);
  }
  const auto [trace_id, status, error_type, operation, n] = columns;
  const std::uint64_t high = Big64(trace_id, 0);
  row->process = static_cast<std::uint16_t>(high >> 16);
  row->thread = static_cast<std::uint8_t>(high >> 8);
  row->lane = static_cast<Lane>(static_cast<std::uint8_t>(high));
  row->counter = Big64(trace_id, 8);
  row->was_open = error_type == "process_crash" || error_type == "process_exit";
  const bool ours = high >> 32 == kLogMark && row->process < kLogProcesses &&
                    row->thread < kLogThreads && static_cast<std::size_t>(row->lane) < kLanes;
  if (!ours) {
    finding_(absl::StrCat("a row that nobody wrote: ", std::string(operation), " ",
                          TraceId(high, row->counter).ToUuid()));
    return false;
  }
  const bool sound =
      (row->was_open ? status == "failed" : status == "completed" && error_type.empty()) &&
      (n.empty() || Big64(n, 0) == row->counter) &&
      (row->was_open || operation != "stress.rich" || !n.empty()) &&
      operation.starts_with("stress.") &&
      (operation == "stress.moved") == (row->lane == Lane::kMoved) &&
      (operation == "stress.long") == (row->lane == Lane::kLong);
  if (!sound) {
    Find(row->process, absl::StrCat("a damaged row: ", std::string(operation), " ",
                                    std::string(status), " ", std::string(error_type), " counter ",
                                    row->counter, " n ", n.empty() ? 0 : Big64(n, 0)));
  }
  return true;
}

void Accounts::Enter(const Row& row) {
  LaneBook& lane = books_[row.process][row.thread][static_cast<std::size_t>(row.lane)];
  constexpr std::uint64_t kMostSpans = std::uint64_t{1} << 34;
  if (row.counter > kMostSpans) return Find(row.process, "a counter that cannot be");
  if (row.counter >= lane.found.size()) {
    lane.found.resize(std::max(row.counter + 1, lane.found.size() * 2));
    lane.was_open.resize(lane.found.size());
  }
  if (lane.found[row.counter]) {
    ++lane.doubled;
    return Find(row.process,
                absl::StrCat("doubled: thread ", int{row.thread}, " ", NameOf(row.lane), " ",
                             row.counter, row.was_open ? " (as open)" : "",
                             lane.was_open[row.counter] ? " (before: as open)" : ""));
  }
  lane.found[row.counter] = true;
  lane.was_open[row.counter] = row.was_open;
}

// No more than a few of a process: the first ones tell.
void Accounts::Find(std::size_t process, const std::string& what) {
  const std::string kind = absl::StrCat(process, " ", what.substr(0, what.find(':')));
  for (int i = 0; i < 3; ++i) {
    if (found_wrong_.insert(absl::StrCat(kind, " ", i)).second) {
      return finding_(absl::StrCat("process ", process, ": ", what));
    }
  }
}

bool Accounts::WriterOf(std::size_t process, std::string* writer_id) {
  if (!Connect()) return false;
  const ProcessLog& log = log_->processes[process];
  // relaxed, both: set when the process began.
  const int pid = log.pid.load(std::memory_order_relaxed);
  const std::uint32_t named_after = log.named_after.load(std::memory_order_relaxed);
  const auto rows =
      pg::Query(connection_.get(),
                "SELECT writer_id FROM trace_writers WHERE pid = $1::integer AND service = $2",
                {absl::StrCat(pid), absl::StrCat("stress-", named_after)});
  if (!rows.ok()) return false;
  *writer_id = PQntuples(rows->get()) == 0 ? "" : std::string(pg::Cell(rows->get(), 0, 0));
  return true;
}

void Accounts::CheckLane(std::size_t process, std::size_t thread, Lane lane, Account* account,
                         std::uint64_t* surely_started) {
  ThreadLog& thread_log = log_->processes[process].threads[thread];
  const LaneLog& log = thread_log[lane];
  LaneBook& book = books_[process][thread][static_cast<std::size_t>(lane)];
  const std::uint64_t begun = Read(log.start_begun);
  account->offered += begun;
  *surely_started += Read(log.started);
  account->doubled += book.doubled;
  std::uint64_t early = 0;
  std::uint64_t late = 0;
  std::uint64_t first_wrong = 0;
  for (std::uint64_t i = 0; i < book.found.size(); ++i) {
    if (!book.found[i]) continue;
    ++account->found;
    account->found_open += book.was_open[i] ? 1 : 0;
    bool perhaps_ended = i < Read(log.end_begun);
    bool surely_ended = i < Read(log.ended);
    if (lane == Lane::kLong) {
      // relaxed: its writer is gone.
      const int state =
          i < kLongSpans ? thread_log.end_states[i].load(std::memory_order_relaxed) : 0;
      perhaps_ended = state >= 1;
      surely_ended = state == 2;
    }
    const bool wrong_early = i >= begun || (!book.was_open[i] && !perhaps_ended);
    const bool wrong_late = book.was_open[i] && surely_ended;
    if ((wrong_early || wrong_late) && early + late == 0) first_wrong = i;
    early += wrong_early ? 1 : 0;
    late += wrong_late ? 1 : 0;
  }
  if (early + late > 0) {
    Find(process, absl::StrCat("thread ", thread, " ", NameOf(lane), ": ", early,
                               " spans found that were not started or not ended, ", late,
                               " found as open that had ended, the first: ", first_wrong));
  }
}

bool Accounts::Check(std::size_t process, Account* account) {
  *account = {};
  std::uint64_t surely_started = 0;
  for (std::size_t thread = 0; thread < kLogThreads; ++thread) {
    for (const Lane lane : {Lane::kShort, Lane::kMoved, Lane::kLong}) {
      CheckLane(process, thread, lane, account, &surely_started);
    }
  }
  ProcessLog& log = log_->processes[process];
  if (log.broken_counts.load(std::memory_order_relaxed) != 0) {  // relaxed: its writer is gone.
    Find(process, "its own counts do not add up at its end");
  }
  std::string writer;
  if (!WriterOf(process, &writer)) return false;
  if (writer.empty()) {
    if (surely_started + account->found > 0) Find(process, "no row in trace_writers");
    account->missing = surely_started;
    return true;
  }
  const auto rows = pg::Query(
      connection_.get(),
      "SELECT spans_started, spans_persisted, spans_dropped, drops, (SELECT coalesce(sum(spans), 0)"
      " FROM trace_drops WHERE writer_id = w.writer_id), (SELECT coalesce(sum(spans), 0) FROM"
      " trace_batches WHERE writer_id = w.writer_id), w::text, (SELECT count(*) FROM"
      " trace_open_spans WHERE writer_id = w.writer_id) FROM trace_writers AS w"
      " WHERE writer_id = $1::uuid",
      {writer});
  if (!rows.ok() || PQntuples(rows->get()) != 1) return false;
  const auto number = [&](int column) {
    return std::strtoull(PQgetvalue(rows->get(), 0, column), nullptr, 10);
  };
  account->started = number(0);
  const auto drops = nlohmann::json::parse(std::string(pg::Cell(rows->get(), 0, 3)));
  for (const auto& [reason, spans] : drops.items()) {
    account->drops[reason] = spans.get<std::uint64_t>();
  }
  const std::uint64_t accounted = account->found + account->dropped();
  account->missing = account->started > accounted ? account->started - accounted : 0;
  account->overcount = accounted > account->started ? accounted - account->started : 0;
  const auto expect = [&](bool holds, const std::string& what) {
    if (holds) return;
    Find(process, absl::StrCat(what, ": offered ", account->offered, " surely started ",
                               surely_started, " found ", account->found, " (", account->found_open,
                               " as open) batches ", number(5), " drops by time ", number(4),
                               " row ", std::string(pg::Cell(rows->get(), 0, 6))));
  };
  expect(account->missing == 0, "missing without count");
  expect(account->overcount == 0, "counted as dropped, and found");
  expect(account->started >= surely_started && account->started <= account->offered,
         "spans_started is not what was started");
  expect(number(1) == account->found, "spans_persisted is not what is found");
  expect(number(2) == account->dropped() && number(4) == number(2), "drops do not add up");
  expect(number(7) == 0, "spans left in trace_open_spans");
  const bool may_lose = may_lose_.contains(process);
  expect(account->drops["crash"] <= kMostAmidAStart || may_lose, "lost with the process");
  for (const char* reason : {"rejected", "reentrant", "out_of_memory", "open_span_limit"}) {
    expect(account->drops[reason] == 0, absl::StrCat("dropped as ", reason));
  }
  expect(account->drops["journal_damaged"] == 0 || may_lose, "dropped as journal_damaged");
  // Told apart from the one that a start may lose.
  if (may_lose)
    account->drops["crash, journal not writable"] = account->drops.extract("crash").mapped();
  std::erase_if(account->drops, [](const auto& entry) { return entry.second == 0; });
  return true;
}

}  // namespace spanring::test
