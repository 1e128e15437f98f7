// Programs of their own: how they end and fork, and the programs that the docs show.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"
#include "support/database.h"

namespace spanring::test {
namespace {

using nlohmann::json;

dev::Finished RunTracedProgram(const TestDatabase& database, const std::string& mode) {
  dev::Finished finished = RunProgram("SPANRING_TRACED_PROGRAM", database.conninfo(), {mode});
  EXPECT_EQ(finished.exit_code, 0) << finished.output;
  EXPECT_EQ(database.Value("SELECT count(*) = count(DISTINCT span_id) FROM trace_spans"), "t");
  return finished;
}

std::string Count(const TestDatabase& database, const std::string& operation) {
  return database.Value("SELECT count(*) FROM trace_spans WHERE operation = $1", {operation});
}

TEST(Process, SpansOfAProgramThatJustEndsArrive) {
  const TestDatabase database;
  const dev::Finished finished = RunTracedProgram(database, "end");
  EXPECT_EQ(finished.output, "");
  EXPECT_EQ(Count(database, "main"), "500");
  EXPECT_EQ(Count(database, "atexit"), "10");
  EXPECT_EQ(Count(database, "thread_local"), "100");
  EXPECT_EQ(Count(database, "static"), "0");
  EXPECT_EQ(
      database.Value("SELECT spans_persisted FROM trace_writers WHERE stopped_at IS NOT NULL"),
      "610");
}

TEST(Process, ParentAndChildOfAForkPersistTheirOwnSpansOnce) {
  const TestDatabase database;
  const dev::Finished finished = RunTracedProgram(database, "fork");
  EXPECT_EQ(finished.output, "");
  EXPECT_EQ(Count(database, "parent"), "400");
  EXPECT_EQ(Count(database, "held"), "1");
  EXPECT_EQ(Count(database, "child"), "200");
  EXPECT_EQ(database.Value("SELECT string_agg(spans_started || ' ' || spans_persisted, ', '"
                           " ORDER BY spans_started) FROM trace_writers"),
            "200 200, 401 401");
  EXPECT_EQ(database.Value("SELECT count(DISTINCT pid) FROM trace_writers"), "2");
}

TEST(Process, ForksUnderLoadNeitherHangNorSendTwice) {
  const TestDatabase database;
  RunTracedProgram(database, "fork-under-load");
  EXPECT_EQ(Count(database, "child"), "1000");
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_writers"), "21");
  EXPECT_EQ(database.Value("SELECT sum(spans_persisted) = (SELECT count(*) FROM trace_spans)"
                           " FROM trace_writers"),
            "t");
}

// The parent is amid its batches at each fork; the children record and flush while it goes on.
TEST(Process, ForksAmidAFlushLoseAndDoubleNothing) {
  const TestDatabase database;
  const dev::Finished finished = RunProgram(
      "SPANRING_TRACED_PROGRAM", database.conninfo(), {"fork-while-flushing", absl::StrCat(Seed())},
      {"SPANRING_BATCH_ROWS=200", "SPANRING_FLUSH_INTERVAL_MS=1"});
  EXPECT_EQ(finished.exit_code, 0) << finished.output;
  EXPECT_EQ(Count(database, "child"), std::to_string(50 * 100));
  ExpectWritersAgree(database.connection(), 51);
}

TEST(Process, ForkWhileAnotherThreadStartsTheTracerDoesNotHang) {
  const TestDatabase database;
  for (int i = 0; i < 100; ++i) {
    const dev::Finished finished =
        RunProgram("SPANRING_TRACED_PROGRAM", database.conninfo(), {"fork-while-starting"});
    ASSERT_EQ(finished.exit_code, 0) << finished.output;
  }
}

// The plugin's call sites, and the texts of their names, are gone when most of its spans are read.
TEST(Process, APluginThatIsUnloadedLeavesItsNames) {
  const char* plugin = std::getenv("SPANRING_PLUGIN");
  ASSERT_NE(plugin, nullptr);
  const TestDatabase database;
  const dev::Finished finished = RunProgram("SPANRING_PLUGIN_HOST", database.conninfo(), {plugin});
  ASSERT_EQ(finished.exit_code, 0) << finished.output;
  const auto rows = database.Rows(
      "SELECT service, operation, count(*) FROM trace_spans GROUP BY service, operation");
  std::map<std::string, std::string> counts;
  for (const auto& row : rows) counts[absl::StrCat(row[0], " ", row[1])] = row[2];
  std::map<std::string, std::string> expected = {
      {"host host.work", "201"}, {"plugin plugin.text", "100"}, {"plugin plugin.left_open", "100"}};
  for (int i = 0; i < 50; ++i) {
    expected[absl::StrCat("plugin plugin.", i / 10, i % 10)] = "100";
  }
  EXPECT_EQ(counts, expected);
  EXPECT_EQ(database.Value("SELECT count(*) = count(DISTINCT span_id) FROM trace_spans"), "t");
}

TEST(Process, TracingOffHasNoThreadNoFileAndNoSpan) {
  const dev::Finished finished = RunProgram("SPANRING_TRACED_PROGRAM", "", {"off"});
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_EQ(finished.output, "threads 1, files 0, spans 0\n");
}

json LastLine(std::string output) {
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return json::parse(output.substr(output.rfind('\n') + 1));
}

TEST(SampleRunner, EverySpanArrivesAndEachFaultIsFound) {
  const TestDatabase database;
  const dev::Finished finished = RunProgram("SPANRING_SAMPLE_RUNNER", database.conninfo());
  ASSERT_EQ(finished.exit_code, 0) << finished.output;
  const json report = LastLine(finished.output);
  const std::string rows = database.Value("SELECT count(*) FROM trace_spans");
  EXPECT_EQ(rows, std::to_string(report["spans_started"].get<std::int64_t>()));
  EXPECT_EQ(rows, std::to_string(report["spans_persisted"].get<std::int64_t>()));
  EXPECT_EQ(report["spans_dropped"], 0);
  EXPECT_EQ(database.Value("SELECT count(DISTINCT execution_id) FROM trace_spans"),
            std::to_string(report["executions"].get<std::int64_t>()));

  const std::map<std::string, std::string> causes = {
      {"slow_span", "PERFORMANCE_DEGRADATION"}, {"connection_refused", "CONNECTION_FAILURE"},
      {"timeout", "SERVICE_TIMEOUT"},           {"modal_failure", "MODAL_EXECUTION_FAILURE"},
      {"network_gap", "NETWORK_TIMEOUT"},
  };
  std::map<std::string, int> seen;
  std::string faulty = "0";
  for (const json& fault : report["faults"]) {
    const auto id = std::to_string(fault["execution_id"].get<std::int64_t>());
    const auto name = fault["fault"].get<std::string>();
    absl::StrAppend(&faulty, ",", id);
    ++seen[name];
    EXPECT_EQ(database.Rows("SELECT root_cause_type FROM identify_root_cause($1) LIMIT 1", {id}),
              std::vector<std::vector<std::string>>{{causes.at(name)}})
        << name << " " << id;
  }
  EXPECT_EQ(seen.size(), causes.size());
  // Nothing is wrong with the others.
  EXPECT_EQ(database.Value(absl::StrCat(
                "SELECT count(*) FROM (SELECT DISTINCT execution_id FROM trace_spans WHERE"
                " execution_id NOT IN (",
                faulty, ")) AS sound CROSS JOIN identify_root_cause(execution_id)")),
            "0");
  EXPECT_EQ(
      database.Value("SELECT anomaly_reason LIKE 'slow: %' FROM diagnose_execution_trace(2158)"
                     " WHERE operation = 'modal.inference'"),
      "t");
}

TEST(SampleRunner, Execution2193TimedOutBetweenRouterAndRunner) {
  const TestDatabase database;
  const dev::Finished finished = RunProgram("SPANRING_SAMPLE_RUNNER", database.conninfo());
  ASSERT_EQ(finished.exit_code, 0) << finished.output;
  EXPECT_EQ(database.Value("SELECT string_agg(operation || ' ' || duration_ms, ' > '"
                           " ORDER BY started_at, operation)"
                           " FROM trace_spans WHERE execution_id = 2193"),
            "runner.execute_question 238900 > runner.hybrid_router_call 238900 > "
            "router.inference_request 82500 > router.modal_call 82300 > modal.inference 77300");
  const auto cause = database.Rows(
      "SELECT root_cause_type, affected_service, evidence FROM identify_root_cause(2193) LIMIT 1");
  ASSERT_EQ(cause.size(), 1U);
  EXPECT_EQ(cause[0][0], "NETWORK_TIMEOUT");
  EXPECT_EQ(cause[0][1], "router -> runner");
  EXPECT_NE(cause[0][2].find("156.3 s of 238.9 s"), std::string::npos) << cause[0][2];
}

// The figures are README's.
TEST(SampleRunner, WhereNoTraceIsSampledFourOfFiveFaultsAreExplained) {
  const TestDatabase database;
  const dev::Finished finished =
      RunProgram("SPANRING_SAMPLE_RUNNER", database.conninfo(), {}, {"SPANRING_SAMPLE_RATIO=0"});
  ASSERT_EQ(finished.exit_code, 0) << finished.output;
  const json report = LastLine(finished.output);
  EXPECT_EQ(database.Value("SELECT sum(spans) FROM trace_rollups WHERE hours = 1"),
            std::to_string(report["spans_started"].get<std::int64_t>()));
  // Beside those with which it measures the cost of a span.
  EXPECT_EQ(database.Value("SELECT sum(spans) FROM trace_rollups WHERE hours = 1"
                           " AND operation NOT LIKE 'runner.measure%'"),
            "228");
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"
                           " WHERE operation NOT LIKE 'runner.measure%'"),
            "25");
  std::map<std::string, std::vector<std::string>> causes;
  for (const json& fault : report["faults"]) {
    const auto id = std::to_string(fault["execution_id"].get<std::int64_t>());
    std::vector<std::string>& types = causes[fault["fault"].get<std::string>()];
    types.clear();
    for (const auto& row :
         database.Rows("SELECT root_cause_type FROM identify_root_cause($1) ORDER BY rank", {id})) {
      types.push_back(row[0]);
    }
  }
  const std::string kPartial = "TRACE_NOT_SAMPLED";
  EXPECT_EQ(causes, (std::map<std::string, std::vector<std::string>>{
                        {"slow_span", {"PERFORMANCE_DEGRADATION", kPartial}},
                        {"connection_refused", {"CONNECTION_FAILURE", kPartial}},
                        {"timeout", {"SERVICE_TIMEOUT", kPartial}},
                        {"modal_failure", {"MODAL_EXECUTION_FAILURE", kPartial}},
                        // Its router's spans are not stored.
                        {"network_gap", {"SERVICE_TIMEOUT", kPartial}}}));
}

TEST(SampleRunner, WorksWithTracingOffAndSaysSo) {
  const dev::Finished finished = RunProgram("SPANRING_SAMPLE_RUNNER", "");
  EXPECT_EQ(finished.exit_code, 0) << finished.output;
  EXPECT_NE(finished.output.find("tracing is off"), std::string::npos);
  EXPECT_EQ(LastLine(finished.output)["spans_started"], 0);
}

class QuickStart : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Languages, QuickStart,
                         testing::Values("SPANRING_QUICK_START", "SPANRING_QUICK_START_C"));

TEST_P(QuickStart, LeavesAFailedExecution) {
  const TestDatabase database;
  EXPECT_EQ(RunProgram(GetParam(), database.conninfo()).exit_code, 0);
  EXPECT_EQ(database.Value("SELECT root_cause_type FROM identify_root_cause(42)"),
            "CONNECTION_FAILURE");
  EXPECT_EQ(database.Value("SELECT metadata FROM trace_waterfall WHERE execution_id = 42"
                           " AND parent_span_id IS NULL"),
            "{\"attempt\": 1}");
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_tree(42)"), "2");
  EXPECT_EQ(RunProgram(GetParam(), "").exit_code, 0);
}

TEST(Snippets, AsyncKeepsTheParents) {
  const TestDatabase database;
  EXPECT_EQ(RunProgram("SPANRING_ASYNC", database.conninfo()).exit_code, 0);
  EXPECT_EQ(database.Rows("SELECT child.operation, parent.operation FROM trace_spans child"
                          " LEFT JOIN trace_spans parent ON parent.span_id = child.parent_span_id"
                          " ORDER BY child.operation"),
            (std::vector<std::vector<std::string>>{{"runner.answer", "runner.execute_question"},
                                                   {"runner.encode", "runner.answer"},
                                                   {"runner.execute_question", "<null>"},
                                                   {"runner.fetch", "runner.execute_question"}}));
  EXPECT_EQ(RunProgram("SPANRING_ASYNC", "").exit_code, 0);
}

TEST(Snippets, TraceparentJoinsTwoServices) {
  const TestDatabase database;
  EXPECT_EQ(RunProgram("SPANRING_TRACEPARENT", database.conninfo()).exit_code, 0);
  EXPECT_EQ(database.Value("SELECT count(DISTINCT trace_id) FROM trace_spans"), "1");
  EXPECT_EQ(RunProgram("SPANRING_TRACEPARENT", "").exit_code, 0);
}

TEST(Snippets, PropagationJoinsServicesAndAChildProcess) {
  const TestDatabase database;
  EXPECT_EQ(RunProgram("SPANRING_PROPAGATION", database.conninfo()).exit_code, 0);
  EXPECT_EQ(database.Rows("SELECT child.operation, parent.operation FROM trace_spans child"
                          " LEFT JOIN trace_spans parent ON parent.span_id = child.parent_span_id"
                          " ORDER BY child.operation"),
            (std::vector<std::vector<std::string>>{
                {"modal.inference", "runner.hybrid_router_call"},
                {"router.inference_request", "runner.hybrid_router_call"},
                {"runner.hybrid_router_call", "<null>"}}));
  EXPECT_EQ(RunProgram("SPANRING_PROPAGATION", "").exit_code, 0);
}

}  // namespace
}  // namespace spanring::test
