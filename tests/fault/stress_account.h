// The stress run's book-keeping: takes the rows out of the database as they come, so that tables
// stay small, and compares them with what the programs wrote down.
// Threads: one at a time.
// Memory: two bits for each span that was started.
// Errors: false while the database is away; what is wrong with the data is a finding.
// Design: docs/reliability.md#stress
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "fault/stress_log.h"
#include "pg/client.h"

namespace spanring::test {

// Over all processes, or of one.
struct Account {
  std::uint64_t offered = 0;  // Calls that start a span, returned or not.
  std::uint64_t started = 0;  // By trace_writers.
  std::uint64_t found = 0;
  std::uint64_t found_open = 0;  // Of those: as failed, since the process died or exited.
  std::uint64_t doubled = 0;
  std::uint64_t missing = 0;    // Neither found nor counted as dropped.
  std::uint64_t overcount = 0;  // Found, and counted as dropped too.
  std::map<std::string, std::uint64_t> drops;

  void Add(const Account& other);
  std::uint64_t dropped() const;
};

class Accounts {
 public:
  // `conninfo`: of a superuser, not through a proxy. `finding` is called for each thing that is
  // wrong, once.
  Accounts(StressLog* log, std::string conninfo, std::function<void(const std::string&)> finding)
      : log_(log), conninfo_(std::move(conninfo)), finding_(std::move(finding)) {}

  // Makes what Harvest needs in the database.
  void Prepare();
  // Moves all rows that are committed now out of trace_spans, and books them. `rows`: how many.
  bool Harvest(std::uint64_t* rows);
  // What there is of a process whose rows are all harvested: says what is wrong.
  bool Check(std::size_t process, Account* account);
  // The writer's id of that process, "" when it has no row yet.
  bool WriterOf(std::size_t process, std::string* writer_id);
  // The only cell of a query.
  bool Number(const std::string& sql, std::int64_t* number);

  // The journal of this process could not be written for a while: what was in memory alone may be
  // lost with it, counted.
  void ExpectLossBy(std::size_t process) { may_lose_.insert(process); }
  std::uint64_t harvested() const { return harvested_; }
  // Why the last Harvest took nothing new, "" when it did.
  const std::string& failure() const { return failure_; }

 private:
  struct LaneBook {
    std::vector<bool> found;
    std::vector<bool> was_open;
    std::uint64_t doubled = 0;
  };
  struct Row {
    std::uint32_t process;
    std::uint8_t thread;
    Lane lane;
    bool was_open;
    std::uint64_t counter;
  };
  using Book = std::array<std::array<LaneBook, kLanes>, kLogThreads>;

  bool Connect();
  bool TakeTable(const std::string& table, std::vector<Row>* rows);
  bool ReadRow(std::string_view data, Row* row);
  void Enter(const Row& row);
  void CheckLane(std::size_t process, std::size_t thread, Lane lane, Account* account,
                 std::uint64_t* surely_started);
  void Find(std::size_t process, const std::string& what);

  StressLog* const log_;
  const std::string conninfo_;
  const std::function<void(const std::string&)> finding_;
  pg::Connection connection_;
  int harvests_ = 0;
  std::string failure_;
  std::uint64_t harvested_ = 0;
  std::set<std::string> booked_;  // Tables that are read, and perhaps not dropped yet.
  std::map<std::size_t, Book> books_;
  std::set<std::size_t> may_lose_;
  std::set<std::string> found_wrong_;
};

}  // namespace spanring::test
