#include "e2e/harness.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_cat.h"
#include "schema/migrator.h"

namespace spanring::test {
namespace {

std::mutex g_log_mutex;
std::vector<std::string> g_log_lines;

void KeepLine(LogLevel /*level*/, std::string_view line) {
  const std::lock_guard lock(g_log_mutex);
  g_log_lines.emplace_back(line);
}

[[noreturn]] void Fail(const std::string& what) { throw std::runtime_error(what); }

int OpenFiles() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<int>(std::distance(begin(files), end(files)));
}

std::vector<std::string> TracerThreads() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::ifstream file(task.path() / "comm");
    std::string name;
    if (std::getline(file, name) && name.starts_with("spanring-")) names.push_back(name);
  }
  return names;
}

}  // namespace

std::uint64_t Seed() {
  const char* text = std::getenv("SPANRING_TEST_SEED");
  const std::uint64_t seed =
      text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 10) : std::random_device()();
  std::printf("SPANRING_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return seed;
}

double Scale() {
  const char* text = std::getenv("SPANRING_TEST_SCALE");
  if (text != nullptr && *text != '\0') return std::strtod(text, nullptr);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 0.02;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return 0.02;
#endif
#endif
  return 1;
}

RunningTracer::RunningTracer(const std::string& conninfo, const Adjust& adjust)
    : before_(tracer_.GetStats()), files_before_(OpenFiles()) {
  ClearLog();
  Options options;
  options.enabled = true;
  options.database_url = conninfo;
  options.service_name = "e2e";
  // What is not delivered is dropped, and does not turn up in the next test.
  options.ring_dir = "off";
  options.journal_dir = "off";
  options.log_sink = KeepLine;
  options.log_info = true;
  options.retry_max_ms = 500;
  options.exit_timeout_ms = 0;
  if (adjust) adjust(options);
  if (const absl::Status status = Tracer::Start(options); !status.ok()) Fail(status.ToString());
}

RunningTracer::~RunningTracer() {
  tracer_.Shutdown(absl::Seconds(5)).IgnoreError();
  // The last of both go moments later: threads are detached, a proxy sees its client leave.
  EXPECT_TRUE(Eventually([] { return TracerThreads().empty(); }));
  EXPECT_TRUE(Eventually([&] { return OpenFiles() <= files_before_; }))
      << OpenFiles() << " files are open, " << files_before_ << " were before";
}

Stats RunningTracer::Counted() const {
  Stats stats = tracer_.GetStats();
  stats.started -= before_.started;
  stats.persisted -= before_.persisted;
  stats.sampled_out -= before_.sampled_out;
  stats.journalled -= before_.journalled;
  stats.open -= before_.open;
  stats.dropped -= before_.dropped;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    stats.dropped_by_reason[i] -= before_.dropped_by_reason[i];
  }
  stats.misuses -= before_.misuses;
  stats.persist_failures -= before_.persist_failures;
  return stats;
}

void RunningTracer::Record(int count, std::string_view operation) {
  for (int i = 0; i < count; ++i) tracer_.StartSpan("e2e", operation).Complete();
}

std::uint64_t Dropped(const RunningTracer& tracer, DropReason reason) {
  return tracer.Counted().dropped_by_reason[static_cast<std::size_t>(reason)];
}

void ExpectDeadlinesKept(RunningTracer& tracer, std::uint64_t spans) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(tracer->Flush(absl::Milliseconds(500))));
  EXPECT_TRUE(absl::IsDeadlineExceeded(tracer->Shutdown(absl::Milliseconds(500))));
  // Two deadlines of half a second; the rest is for a crowded machine.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_EQ(Dropped(tracer, DropReason::kShutdown), spans);
  ExpectIdentity(tracer.Counted());
}

std::vector<std::string> LogLines() {
  const std::lock_guard lock(g_log_mutex);
  return g_log_lines;
}

void ClearLog() {
  const std::lock_guard lock(g_log_mutex);
  g_log_lines.clear();
}

int LinesWith(std::string_view text) {
  int count = 0;
  for (const std::string& line : LogLines()) count += line.find(text) != std::string::npos ? 1 : 0;
  return count;
}

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

pg::Connection ConnectTo(const std::string& conninfo) {
  auto connection = pg::Connect(conninfo, "spanring test");
  if (!connection.ok()) Fail(connection.status().ToString());
  return *std::move(connection);
}

void RunSql(PGconn* connection, const std::string& sql) {
  const absl::Status status = pg::Execute(connection, sql);
  if (!status.ok()) Fail(absl::StrCat(status.ToString(), "\nin: ", sql));
}

std::string ValueOf(PGconn* connection, const std::string& sql) {
  const auto result = pg::Query(connection, sql);
  if (!result.ok()) Fail(absl::StrCat(result.status().ToString(), "\nin: ", sql));
  if (PQntuples(result->get()) != 1) Fail("not one row: " + sql);
  if (PQgetisnull(result->get(), 0, 0) != 0) return "<null>";
  return std::string(pg::Cell(result->get(), 0, 0));
}

std::int64_t NumberOf(PGconn* connection, const std::string& sql) {
  return std::strtoll(ValueOf(connection, sql).c_str(), nullptr, 10);
}

dev::TemporaryServer OwnServer(std::vector<std::string> hba_lines,
                               std::vector<std::string> settings) {
  auto server = dev::TemporaryServer::Create(
      {.durable = false, .hba_lines = std::move(hba_lines), .settings = std::move(settings)});
  if (!server.ok()) Fail(server.status().ToString());
  return *std::move(server);
}

void Migrate(const std::string& conninfo) {
  const auto report = schema::Up(ConnectTo(conninfo).get());
  if (!report.ok()) Fail(report.status().ToString());
}

dev::Finished RunProgram(const char* variable, const std::string& conninfo,
                         const std::vector<std::string>& arguments,
                         const std::vector<std::string>& environment) {
  const char* program = std::getenv(variable);
  if (program == nullptr) Fail(absl::StrCat(variable, " is not set"));
  dev::Command command;
  command.arguments = {program};
  command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
  command.environment = {"SPANRING_EXIT_TIMEOUT_MS=60000"};
  for (const char* name : {"SPANRING_RING_DIR", "SPANRING_JOURNAL_DIR"}) {
    if (const char* value = std::getenv(name); value != nullptr) {
      command.environment.push_back(absl::StrCat(name, "=", value));
    }
  }
  if (!conninfo.empty()) {
    command.environment.push_back("ENABLE_DB_TRACING=true");
    command.environment.push_back("DATABASE_URL=" + conninfo);
  }
  command.environment.insert(command.environment.end(), environment.begin(), environment.end());
  auto finished = dev::Run(command, dev::IdentityOf(getuid(), getgid()));
  if (!finished.ok()) Fail(finished.status().ToString());
  return *std::move(finished);
}

void ExpectIdentity(const Stats& stats) {
  EXPECT_EQ(stats.started,
            stats.persisted + stats.sampled_out + stats.journalled + stats.open + stats.dropped);
  std::uint64_t by_reason = 0;
  for (const std::uint64_t n : stats.dropped_by_reason) by_reason += n;
  EXPECT_EQ(stats.dropped, by_reason);
}

void ExpectDatabaseAgrees(PGconn* connection, const RunningTracer& tracer) {
  const Stats stats = tracer.Counted();
  ExpectIdentity(stats);
  const auto number = [&](const std::string& sql) {
    return static_cast<std::uint64_t>(NumberOf(connection, sql));
  };
  EXPECT_EQ(number("SELECT count(*) FROM trace_spans"), stats.persisted);
  EXPECT_EQ(number("SELECT count(DISTINCT span_id) FROM trace_spans"), stats.persisted);
  // The row of a writer counts from the start of its process, but for what is persisted: here.
  const Stats whole = Tracer().GetStats();
  const std::string row = " FROM trace_writers ORDER BY last_seen_at DESC LIMIT 1";
  EXPECT_EQ(number("SELECT count(*) FROM trace_writers"), 1U);
  EXPECT_EQ(number("SELECT spans_started" + row), whole.started);
  EXPECT_EQ(number("SELECT spans_persisted" + row), stats.persisted);
  EXPECT_EQ(number("SELECT spans_sampled_out" + row), stats.sampled_out);
  EXPECT_EQ(number("SELECT spans_dropped" + row), whole.dropped);
  const auto drops = nlohmann::json::parse(ValueOf(connection, "SELECT drops" + row));
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    const std::string name(DropReasonName(static_cast<DropReason>(i)));
    EXPECT_EQ(drops.value(name, std::uint64_t{0}), whole.dropped_by_reason[i]) << name;
  }
}

void ExpectSumsAgree(PGconn* connection) {
  RunSql(connection,
         "BEGIN; CREATE TEMPORARY TABLE added ON COMMIT DROP AS"
         " SELECT to_jsonb(rollups) - 'is_folded' AS row FROM trace_rollups AS rollups"
         " UNION ALL SELECT to_jsonb(summaries) || jsonb_build_object('services',"
         " (SELECT array_agg(DISTINCT s ORDER BY s) FROM unnest(services) AS s))"
         " FROM trace_execution_summaries AS summaries;"
         "UPDATE trace_batches SET is_summed = false;"
         "TRUNCATE trace_rollups, trace_execution_summaries");
  RunSql(connection,
         "SELECT trace_fold_day(day) FROM (SELECT DISTINCT (started_at AT TIME ZONE 'UTC')::date"
         " FROM trace_spans) AS days (day)");
  // Which of several jobs, models and regions an execution has is not said, nor which of several
  // longest roots is the root, nor without a root which of its traces.
  RunSql(connection,
         "CREATE FUNCTION pg_temp.unsaid(of_row jsonb) RETURNS text[] LANGUAGE sql AS $$ SELECT"
         " '{job_id,model_id,region}'::text[] || CASE (SELECT count(*) FROM trace_spans"
         " WHERE execution_id = (of_row->>'execution_id')::bigint AND parent_span_id IS NULL"
         " AND duration_ns = (of_row->>'root_duration_ns')::bigint)"
         " WHEN 1 THEN '{}'::text[]"
         " ELSE '{trace_id,root_service,root_operation,root_status}'::text[] END $$");
  EXPECT_EQ(
      ValueOf(connection,
              "WITH counted AS (SELECT to_jsonb(rollups) - 'is_folded' AS row"
              " FROM trace_rollups AS rollups"
              " UNION ALL SELECT to_jsonb(summaries) FROM trace_execution_summaries AS"
              " summaries),"
              " plain AS (SELECT row - pg_temp.unsaid(row) AS row FROM added),"
              " anew AS (SELECT row - pg_temp.unsaid(row) AS row FROM counted)"
              " SELECT coalesce(left(string_agg(row::text, E'\n' ORDER BY row), 2000), 'none')"
              " FROM ((SELECT * FROM plain EXCEPT SELECT * FROM anew)"
              " UNION ALL (SELECT * FROM anew EXCEPT SELECT * FROM plain)) AS different"),
      "none");
  EXPECT_NE(ValueOf(connection, "SELECT count(*) FROM added"), "0");
  RunSql(connection, "ROLLBACK");
}

void ExpectAllArrived(PGconn* connection, RunningTracer& tracer, std::uint64_t spans) {
  const absl::Status flushed = tracer.Flush(120);
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(tracer.Counted().persisted, spans);
  ExpectDatabaseAgrees(connection, tracer);
}

void ExpectWritersAgree(PGconn* connection, int writers) {
  const std::string spans = ValueOf(connection, "SELECT count(*) FROM trace_spans");
  EXPECT_EQ(ValueOf(connection, "SELECT count(DISTINCT span_id) FROM trace_spans"), spans);
  EXPECT_EQ(ValueOf(connection, "SELECT count(*) FROM trace_writers"), std::to_string(writers));
  EXPECT_EQ(ValueOf(connection, "SELECT sum(spans_started) FROM trace_writers"), spans);
  EXPECT_EQ(ValueOf(connection, "SELECT sum(spans_persisted) FROM trace_writers"), spans);
  EXPECT_EQ(ValueOf(connection, "SELECT sum(spans_dropped) FROM trace_writers"), "0");
}

}  // namespace spanring::test
