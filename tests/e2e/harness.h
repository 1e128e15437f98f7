// What the end-to-end tests share: a tracer on a database for the length of a scope, and its words.
// Threads: one object at a time, owned by one thread; log lines arrive from the tracer's own.
// Memory: owns what it returns.
// Errors: a failure of set-up is the test's failure.
// Design: docs/architecture.md
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dev/process.h"
#include "dev/temporary_server.h"
#include "pg/client.h"
#include "spanring/spanring.h"

namespace spanring::test {

// SPANRING_TEST_SCALE, 1 by default: what the large tests multiply their sizes with.
double Scale();

// SPANRING_TEST_SEED, else a random one; printed, so that a failure can be had again.
std::uint64_t Seed();

// The tracer of this process, started towards `conninfo`, and shut down at the end of the scope:
// then none of its threads is left, and no descriptor that was not there before. So what a test
// opens after it must be closed before it.
class RunningTracer {
 public:
  using Adjust = std::function<void(Options&)>;

  explicit RunningTracer(const std::string& conninfo, const Adjust& adjust = {});
  ~RunningTracer();
  RunningTracer(const RunningTracer&) = delete;
  RunningTracer& operator=(const RunningTracer&) = delete;

  Tracer* operator->() { return &tracer_; }

  // What was counted since this object was made. The process has one runtime, which keeps counting.
  Stats Counted() const;
  // The counts of the process when this object was made.
  const Stats& before() const { return before_; }

  // Records `count` spans named `operation` and returns at once.
  void Record(int count, std::string_view operation = "step");
  absl::Status Flush(int seconds = 60) { return tracer_.Flush(absl::Seconds(seconds)); }
  absl::Status Shutdown(int seconds = 60) { return tracer_.Shutdown(absl::Seconds(seconds)); }

 private:
  Tracer tracer_;
  Stats before_;
  int files_before_;
};

std::uint64_t Dropped(const RunningTracer& tracer, DropReason reason);

// Half a second each for Flush and Shutdown, with `spans` that cannot arrive: both say so in time,
// and the spans are counted as dropped.
void ExpectDeadlinesKept(RunningTracer& tracer, std::uint64_t spans);

// The lines that the tracer has logged since the last ClearLog.
std::vector<std::string> LogLines();
void ClearLog();
int LinesWith(std::string_view text);

// Waits until `condition` holds; false after two minutes.
bool Eventually(const std::function<bool()>& condition);

// A connection of a test's own; a failure throws.
pg::Connection ConnectTo(const std::string& conninfo);
// Runs statements; a failure throws.
void RunSql(PGconn* connection, const std::string& sql);
// The only cell of a query, "<null>" for NULL; a failure throws, and so do several rows.
std::string ValueOf(PGconn* connection, const std::string& sql);
std::int64_t NumberOf(PGconn* connection, const std::string& sql);

// A server of the test's own, with the schema in its database `postgres` unless asked otherwise.
dev::TemporaryServer OwnServer(std::vector<std::string> hba_lines = {},
                               std::vector<std::string> settings = {});
void Migrate(const std::string& conninfo);

// Runs the program that the environment variable names to its end, traced towards `conninfo` unless
// that is empty.
dev::Finished RunProgram(const char* variable, const std::string& conninfo,
                         const std::vector<std::string>& arguments = {},
                         const std::vector<std::string>& environment = {});

// started = persisted + sampled_out + journalled + open + dropped.
void ExpectIdentity(const Stats& stats);
// trace_spans holds what was persisted, each span once, and this process's row in trace_writers
// says the same as `tracer`.
void ExpectDatabaseAgrees(PGconn* connection, const RunningTracer& tracer);
// What the batches added to the sums is what their spans come to.
void ExpectSumsAgree(PGconn* connection);
// Flushes and shuts down: `spans` were persisted since `tracer` was made, and the database agrees.
void ExpectAllArrived(PGconn* connection, RunningTracer& tracer, std::uint64_t spans);
// Of programs that have ended: trace_spans holds each span of theirs once and none else, `writers`
// of them took part, and none dropped a span.
void ExpectWritersAgree(PGconn* connection, int writers);

}  // namespace spanring::test
