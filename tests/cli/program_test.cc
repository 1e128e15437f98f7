// The program as a subprocess against a private PostgreSQL: output, exit codes, secrets.
#include "program.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dev/temporary_server.h"
#include "pg/client.h"

namespace spanring::cli {
namespace {

using nlohmann::json;

constexpr char kSecret[] = "not-for-the-log";

// Execution 2193 of the field notes, with an escape sequence in an error message.
constexpr char kSpans[] = R"(
INSERT INTO trace_spans (started_at, completed_at, duration_ns, duration_ms, execution_id, trace_id,
    span_id, parent_span_id, service, operation, status, job_id, error_type, error_message)
SELECT t0 + o * interval '1 ms', t0 + (o + d) * interval '1 ms', d * 1000000::bigint, d, 2193,
    '00000000-0000-0000-0000-0000000000aa', ('00000000-0000-0000-0000-00000000000' || i)::uuid,
    CASE WHEN i > 1 THEN ('00000000-0000-0000-0000-00000000000' || i - 1)::uuid END,
    s, op, st, 'job-7', et, em
FROM (SELECT date_trunc('minute', now()) - interval '1 hour' AS t0) AS clock, (VALUES
    (1, 'runner', 'execute_question', 0, 238900, 'failed', NULL, NULL),
    (2, 'runner', 'hybrid_router_call', 0, 238900, 'timeout', 'timeout', E'no \x1b[31manswer'),
    (3, 'router', 'inference_request', 1, 82500, 'completed', NULL, NULL),
    (4, 'router', 'modal_call', 50, 82300, 'completed', NULL, NULL),
    (5, 'modal', 'inference', 4000, 77300, 'completed', NULL, NULL)
) AS span (i, s, op, o, d, st, et, em))";

class ProgramTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    absl::StatusOr<dev::TemporaryServer> server = dev::TemporaryServer::Create(
        {.durable = false, .hba_lines = {"local all asked scram-sha-256"}, .settings = {}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::make_unique<dev::TemporaryServer>(*std::move(server));
    for (const char* name : {"empty", "filled"}) {
      ASSERT_TRUE(Server().EnsureDatabase(name).ok());
    }
    ASSERT_EQ(Ask("filled", {"migrate"}).exit_code, 0) << Ask("filled", {"migrate"}).err;
    Sql("filled", kSpans);
    Sql("filled",
        "SELECT trace_fold_day(day) FROM (SELECT DISTINCT (started_at AT TIME ZONE 'UTC')::date"
        " FROM trace_spans) AS days (day)");
    Sql("filled", absl::StrCat("CREATE ROLE asked LOGIN PASSWORD 'right'"));
    Sql("filled", "CREATE ROLE stranger LOGIN");
  }
  static void TearDownTestSuite() { server_.reset(); }

  static dev::PrivateServer& Server() { return **server_; }

  static std::string Sql(const std::string& database, const std::string& sql) {
    absl::StatusOr<pg::Connection> connection = pg::Connect(Server().conninfo(database), "test");
    if (!connection.ok()) return std::string(connection.status().message());
    absl::StatusOr<pg::Result> result = pg::Query(connection->get(), sql);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return "";
    return PQntuples(result->get()) > 0 ? std::string(pg::Cell(result->get(), 0, 0)) : "";
  }

  static Outcome Ask(const std::string& database, const std::vector<std::string>& arguments,
                     std::vector<std::string> environment = {}) {
    environment.push_back("DATABASE_URL=" + Server().url(database));
    return RunProgram(arguments, environment);
  }

  static bool Contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  static std::unique_ptr<dev::TemporaryServer> server_;
};

std::unique_ptr<dev::TemporaryServer> ProgramTest::server_;

TEST_F(ProgramTest, HelpFitsOneScreenAndVersionIsOneLine) {
  const Outcome help = RunProgram({"--help"}, {});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_LE(std::count(help.out.begin(), help.out.end(), '\n'), 40);
  EXPECT_TRUE(Contains(RunProgram({"--version"}, {}).out, "spanring "));
  EXPECT_TRUE(Contains(RunProgram({"migrate", "down", "--help"}, {}).out, "--drop-data"));
}

TEST_F(ProgramTest, UsageErrorsAreOneLineAndTwo) {
  const std::vector<std::vector<std::string>> wrong = {
      {"no-such"},
      {"waterfall"},
      {"waterfall", "abc"},
      {"root-cause", "99999999999999999999"},
      {"compare", "1", "-99999999999999999999"},
      {"retain", "--days", "0"},
      {"health", "--x"},
      {"--color", "pink", "health"},
      {"-d", "postgresql//user:not-for-the-log@h/d", "health"},
      {"migrate", "down"}};
  for (const std::vector<std::string>& arguments : wrong) {
    const Outcome outcome = RunProgram(arguments, {});
    EXPECT_EQ(outcome.exit_code, 2) << arguments[0] << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_FALSE(Contains(outcome.err, kSecret)) << outcome.err;
  }
  EXPECT_TRUE(Contains(RunProgram({"no-such"}, {}).err, "no-such"));
  EXPECT_TRUE(Contains(RunProgram({"waterfall", "abc"}, {}).err, "whole number"));
}

TEST_F(ProgramTest, WaterfallIsPlainInAPipe) {
  const Outcome outcome = Ask("filled", {"waterfall", "2193"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.find('\033'), std::string::npos);
  for (const char* part : {"runner.execute_question", "modal.inference", "238.9 s", "156.4 s gap",
                           "█", "timeout", "no \\x1b[31manswer"}) {
    EXPECT_TRUE(Contains(outcome.out, part)) << part << "\n" << outcome.out;
  }
}

TEST_F(ProgramTest, ColorsOnlyWhenAskedForAndDataNeverEscapes) {
  const Outcome colored = Ask("filled", {"waterfall", "2193", "--color", "always"});
  EXPECT_TRUE(Contains(colored.out, "\033["));
  EXPECT_FALSE(Contains(colored.out, "\033[31manswer"));
  EXPECT_TRUE(Contains(
      Ask("filled", {"--color", "always", "waterfall", "2193"}, {"NO_COLOR=1"}).out, "\033["));
  EXPECT_FALSE(Contains(Ask("filled", {"waterfall", "2193"}, {"NO_COLOR=1"}).out, "\033"));
}

TEST_F(ProgramTest, DiagnosisRootCauseAndSimilarAnswer) {
  const Outcome diagnosis = Ask("filled", {"diagnose", "2193"});
  EXPECT_EQ(diagnosis.exit_code, 0) << diagnosis.err;
  EXPECT_TRUE(Contains(diagnosis.out, "of 5 operations")) << diagnosis.out;
  const Outcome cause = Ask("filled", {"root-cause", "2193"});
  EXPECT_EQ(cause.exit_code, 0) << cause.err;
  EXPECT_EQ(cause.out.find("NETWORK_TIMEOUT"), 0U) << cause.out;
  const Outcome similar = Ask("filled", {"similar", "2193", "--limit", "3"});
  EXPECT_EQ(similar.exit_code, 0) << similar.err;
}

TEST_F(ProgramTest, CriticalPathIsDrawnInOrderOfTime) {
  const Outcome path = Ask("filled", {"critical-path", "2193"});
  EXPECT_EQ(path.exit_code, 0) << path.err;
  EXPECT_EQ(path.out.find('\033'), std::string::npos);
  EXPECT_EQ(path.out.find("critical path of execution 2193: 238.9 s in 7 segments"), 0U)
      << path.out;
  const std::size_t inference = path.out.find("modal.inference");
  const std::size_t waiting = path.out.rfind("runner.hybrid_router_call", path.out.find("spans"));
  ASSERT_NE(inference, std::string::npos) << path.out;
  EXPECT_LT(inference, waiting) << path.out;
  for (const char* part : {"█", "156.4 s", "65.5 %", "critical time"}) {
    EXPECT_TRUE(Contains(path.out, part)) << part << "\n" << path.out;
  }
}

TEST_F(ProgramTest, CriticalPathSaysWhatIsNotDrawn) {
  ASSERT_TRUE(Server().RecreateDatabase("many").ok());
  ASSERT_EQ(Ask("many", {"migrate"}).exit_code, 0);
  // A root of 90 children side by side, and a shorter root.
  Sql("many",
      "INSERT INTO trace_spans (started_at, completed_at, execution_id, trace_id, span_id,"
      " parent_span_id, service, operation, status) SELECT now() + i * interval '1 s',"
      " now() + CASE i WHEN 0 THEN 91 ELSE i + 1 END * interval '1 s', 1,"
      " '00000000-0000-0000-0000-0000000000aa', lpad(i::text, 32, '0')::uuid,"
      " CASE WHEN i BETWEEN 1 AND 90 THEN lpad('0', 32, '0')::uuid END, 's', 'o', 'completed'"
      " FROM generate_series(0, 91) AS i");
  const Outcome path = Ask("many", {"critical-path", "1", "--width", "60"});
  EXPECT_EQ(path.exit_code, 0) << path.err;
  EXPECT_TRUE(Contains(path.out, "91.0 s in 91 segments")) << path.out;
  EXPECT_TRUE(Contains(path.out, "not drawn: 41 shorter segments, 41.0 s in all")) << path.out;
  EXPECT_TRUE(Contains(path.out, "longest of 2 roots")) << path.out;
  EXPECT_LE(std::count(path.out.begin(), path.out.end(), '\n'), 60);
}

TEST_F(ProgramTest, NetworkShowsCallsAndClocks) {
  const Outcome calls = Ask("filled", {"network", "2193", "--width", "140"});
  EXPECT_EQ(calls.exit_code, 0) << calls.err;
  for (const char* part :
       {"2 calls between services", "runner.hybrid_router_call → router.inference_request",
        "156.4 s", "5.0 s", "without span.kind: 2 calls"}) {
    EXPECT_TRUE(Contains(calls.out, part)) << part << "\n" << calls.out;
  }
  EXPECT_FALSE(Contains(calls.out, "clock")) << calls.out;
  const json answer = json::parse(Ask("filled", {"network", "2193", "--json"}).out);
  EXPECT_EQ(answer["calls"].size(), 2U);
  EXPECT_EQ(answer["spans"].size(), 5U);
  EXPECT_EQ(answer["calls"][0]["network_ns"], 156'400'000'000);

  ASSERT_TRUE(Server().RecreateDatabase("skewed").ok());
  ASSERT_EQ(Ask("skewed", {"migrate"}).exit_code, 0);
  Sql("skewed",
      "INSERT INTO trace_spans (started_at, completed_at, execution_id, trace_id, span_id,"
      " parent_span_id, service, operation, status) SELECT now() + a * interval '1 s',"
      " now() + b * interval '1 s', 1, '00000000-0000-0000-0000-0000000000aa',"
      " lpad(i::text, 32, '0')::uuid, lpad(p::text, 32, '0')::uuid, s, 'o', 'completed' FROM"
      " (VALUES (1, NULL, 'a', 10, 20), (2, 1, 'b', 3, 9)) AS spans (i, p, s, a, b)");
  const Outcome skewed = Ask("skewed", {"network", "1"});
  EXPECT_TRUE(Contains(skewed.out, "the clock of b seems 9.0 s behind that of a")) << skewed.out;
  EXPECT_TRUE(Contains(skewed.out, "-7.0 s")) << skewed.out;
}

TEST_F(ProgramTest, ComparisonAndRootCauseOfAWindowAnswer) {
  const Outcome comparison = Ask("filled", {"compare", "2193", "2193"});
  EXPECT_EQ(comparison.exit_code, 0) << comparison.err;
  EXPECT_EQ(comparison.out.find("5 of 5 spans are in both"), 0U) << comparison.out;
  EXPECT_EQ(Ask("filled", {"compare", "2193", "404"}).exit_code, 1);
  const Outcome window = Ask("filled", {"root-cause", "--window", "yesterday", "tomorrow",
                                        "--baseline", "2020-01-01", "2020-01-02"});
  EXPECT_EQ(window.exit_code, 0) << window.err;
  EXPECT_EQ(window.out.find("UNKNOWN"), 0U) << window.out;
  EXPECT_TRUE(Contains(window.out, "no operation has spans in both windows")) << window.out;
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {"root-cause"},
           {"root-cause", "--window", "yesterday", "now"},
           {"root-cause", "--baseline", "yesterday", "now"},
           {"root-cause", "2193", "--window", "a", "b", "--baseline", "a", "b"},
           {"compare", "2193"}}) {
    EXPECT_EQ(Ask("filled", wrong).exit_code, 2);
  }
}

TEST_F(ProgramTest, OpenSpansAreDrawnAndDropsSaid) {
  ASSERT_TRUE(Server().RecreateDatabase("opened").ok());
  ASSERT_EQ(Ask("opened", {"migrate"}).exit_code, 0);
  Sql("opened",
      "INSERT INTO trace_open_spans (started_at, execution_id, trace_id, span_id, writer_id, "
      "service, operation) VALUES (now() - interval '9 s', 7, "
      "'00000000-0000-0000-0000-0000000000aa', '00000000-0000-0000-0000-000000000001', "
      "'00000000-0000-0000-0000-0000000000bb', 'runner', 'execute_question')");
  Sql("opened",
      "INSERT INTO trace_drops VALUES (now() - interval '9 s', now(), 12, "
      "'00000000-0000-0000-0000-0000000000bb', 'ring_full')");
  const std::pair<const char*, std::vector<const char*>> said[] = {
      {"waterfall", {"runner.execute_question", "open", "started"}},
      {"diagnose", {"never ended", "12 spans were dropped in its time"}},
      {"root-cause", {"never ended"}},
      {"critical-path", {"runner.execute_question", "in 1 segment"}},
      {"network", {"no calls between services"}}};
  for (const auto& [command, parts] : said) {
    const Outcome outcome = Ask("opened", {command, "7"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    for (const char* part : parts) EXPECT_TRUE(Contains(outcome.out, part)) << outcome.out;
  }
  EXPECT_EQ(json::parse(Ask("opened", {"diagnose", "7", "--json"}).out)[0]["spans_dropped"], 12);
  EXPECT_EQ(json::parse(Ask("opened", {"health", "--json"}).out)["open_spans"], 1);
}

TEST_F(ProgramTest, HealthSaysWhatWasSampledOutAndWhatWasDropped) {
  ASSERT_TRUE(Server().RecreateDatabase("sampled").ok());
  ASSERT_EQ(Ask("sampled", {"migrate"}).exit_code, 0);
  Sql("sampled",
      "INSERT INTO trace_writers (writer_id, service, spans_started, spans_sampled_out) VALUES "
      "('00000000-0000-0000-0000-0000000000cc', 'runner', 12345, 12340)");
  const std::string sampled = Ask("sampled", {"health"}).out;
  EXPECT_TRUE(Contains(sampled, "spans sampled out        12,340")) << sampled;
  EXPECT_TRUE(Contains(sampled, "sampled out: 12,340")) << sampled;
  EXPECT_EQ(json::parse(Ask("sampled", {"health", "--json"}).out)["spans_sampled_out"], 12340);
  Sql("sampled", "UPDATE trace_writers SET spans_dropped = 5, drops = '{\"ring_full\": 5}'");
  const std::string both = Ask("sampled", {"health"}).out;
  EXPECT_TRUE(Contains(both, "dropped: {\"ring_full\": 5}; sampled out: 12,340")) << both;
}

TEST_F(ProgramTest, JsonIsWhatSqlSays) {
  const std::pair<std::vector<std::string>, std::string> questions[] = {
      {{"diagnose", "2193", "--json"}, "diagnose_execution_trace(2193)"},
      {{"root-cause", "2193", "--json"}, "identify_root_cause(2193)"},
      {{"critical-path", "2193", "--json"}, "trace_critical_path(2193)"},
      {{"compare", "2193", "2193", "--json"}, "compare_executions(2193, 2193)"},
      {{"similar", "2193", "--json"}, "find_similar_traces(2193, 5)"}};
  for (const auto& [arguments, call] : questions) {
    const Outcome outcome = Ask("filled", arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const std::string sql =
        Sql("filled", "SELECT coalesce(json_agg(row_to_json(a)), '[]') FROM " + call + " AS a");
    EXPECT_EQ(json::parse(outcome.out), json::parse(sql)) << call;
    EXPECT_EQ(outcome.err, "");
  }
  const json waterfall = json::parse(Ask("filled", {"waterfall", "2193", "--json"}).out);
  EXPECT_EQ(waterfall["spans"].size(), 5U);
  EXPECT_EQ(waterfall["spans"],
            json::parse(Sql("filled",
                            "SELECT json_agg(row_to_json(t) ORDER BY row_order) FROM "
                            "trace_tree(2193) AS t")));
  EXPECT_TRUE(waterfall["gaps"].is_array());
  const json health = json::parse(Ask("filled", {"--json", "health"}).out);
  EXPECT_EQ(health["total_spans"], 5);
  EXPECT_TRUE(json::parse(Ask("filled", {"doctor", "--json"}).out).is_array());
  EXPECT_TRUE(json::parse(Ask("filled", {"migrate", "status", "--json"}).out)["current"]);
}

TEST_F(ProgramTest, UnknownExecutionIsOne) {
  for (const char* command :
       {"waterfall", "diagnose", "root-cause", "critical-path", "network", "similar"}) {
    for (const bool as_json : {false, true}) {
      std::vector<std::string> arguments = {command, "404"};
      if (as_json) arguments.push_back("--json");
      const Outcome outcome = Ask("filled", arguments);
      EXPECT_EQ(outcome.exit_code, 1) << command << outcome.err;
      EXPECT_TRUE(Contains(outcome.err, "execution 404")) << outcome.err;
      EXPECT_EQ(outcome.out, "");
    }
  }
}

TEST_F(ProgramTest, MissingSchemaIsThreeAndSaysMigrate) {
  for (const char* command :
       {"waterfall", "diagnose", "root-cause", "critical-path", "network", "similar"}) {
    const Outcome outcome = Ask("empty", {command, "2193"});
    EXPECT_EQ(outcome.exit_code, 3) << command;
    EXPECT_TRUE(Contains(outcome.err, "run: spanring migrate")) << outcome.err;
  }
  EXPECT_EQ(Ask("empty", {"health"}).exit_code, 3);
  EXPECT_EQ(Ask("empty", {"retain", "--days", "3"}).exit_code, 3);
  const Outcome doctor = Ask("empty", {"doctor"}, {"ENABLE_DB_TRACING=on"});
  EXPECT_EQ(doctor.exit_code, 1);
  EXPECT_TRUE(Contains(doctor.out, "run: spanring migrate")) << doctor.out;
  EXPECT_EQ(Ask("empty", {"migrate", "status"}).exit_code, 1);
}

TEST_F(ProgramTest, NoDatabaseIsThreeAndSaysHowToGetOne) {
  const std::string state =
      "SPANRING_STATE_DIR=" + (std::filesystem::temp_directory_path() / "no-such-state").string();
  const Outcome outcome = RunProgram({"health"}, {state});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_TRUE(Contains(outcome.err, "spanring dev up")) << outcome.err;
  const Outcome refused = RunProgram({"health"}, {state, "PGHOST=127.0.0.1", "PGPORT=1"});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_TRUE(Contains(refused.err, "the PG* variables")) << refused.err;
  EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused.err;
}

TEST_F(ProgramTest, AWrongPasswordIsToldWithoutIt) {
  const std::string host = Server().socket_folder();
  for (const std::string& url :
       {absl::StrCat("postgresql://asked:", kSecret, "@/filled?host=", host),
        absl::StrCat("host=", host, " user=asked dbname=filled password=", kSecret),
        absl::StrCat("postgresql://asked:", kSecret, "@no-such-host.invalid/filled"),
        absl::StrCat("postgresql://asked:", kSecret, "@h/filled?no_such_option=1"),
        // What follows the first @ of a password that is not escaped.
        absl::StrCat("postgresql://asked:half@", kSecret, "@127.0.0.1:1/filled"),
        absl::StrCat("postgresql//asked:", kSecret, "@h/filled")}) {
    for (const char* command : {"health", "doctor"}) {
      const Outcome outcome = RunProgram({command}, {"DATABASE_URL=" + url});
      EXPECT_NE(outcome.exit_code, 0);
      EXPECT_FALSE(Contains(outcome.out + outcome.err, kSecret)) << outcome.out << outcome.err;
      EXPECT_FALSE(outcome.out.empty() && outcome.err.empty());
    }
  }
  const Outcome outcome = RunProgram(
      {"health"},
      {absl::StrCat("DATABASE_URL=postgresql://asked:", kSecret, "@/filled?host=", host)});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_TRUE(Contains(outcome.err, "check the user and password in DATABASE_URL")) << outcome.err;
}

TEST_F(ProgramTest, MissingRightsAreNamed) {
  const std::string url = Server().conninfo("filled") + " user=stranger";
  const Outcome health = RunProgram({"health"}, {"DATABASE_URL=" + url});
  EXPECT_EQ(health.exit_code, 3);
  EXPECT_TRUE(Contains(health.err, "spanring_reader")) << health.err;
  const Outcome doctor = RunProgram({"doctor"}, {"DATABASE_URL=" + url});
  EXPECT_EQ(doctor.exit_code, 1);
  EXPECT_TRUE(Contains(doctor.out, "GRANT spanring_writer TO")) << doctor.out;
  EXPECT_TRUE(Contains(doctor.out, "trace_writer_counted (EXECUTE)")) << doctor.out;
}

TEST_F(ProgramTest, DoctorIsContentWhenAllIsWell) {
  const Outcome outcome = Ask("filled", {"doctor"}, {"ENABLE_DB_TRACING=TRUE"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_FALSE(Contains(outcome.out, "FAIL"));
  EXPECT_EQ(Ask("filled", {"doctor"}, {"ENABLE_DB_TRACING=maybe"}).exit_code, 1);
}

TEST_F(ProgramTest, MigrateDownWantsToBeToldTwice) {
  ASSERT_TRUE(Server().RecreateDatabase("updown").ok());
  EXPECT_EQ(Ask("updown", {"migrate", "up"}).exit_code, 0);
  EXPECT_TRUE(Contains(Ask("updown", {"migrate"}).out, "nothing to do"));
  EXPECT_EQ(Ask("updown", {"migrate", "status"}).exit_code, 0);
  EXPECT_NE(Ask("updown", {"migrate", "down", "--to", "0"}).exit_code, 0);
  EXPECT_EQ(Sql("updown", "SELECT to_regclass('trace_spans') IS NOT NULL"), "t");
  EXPECT_EQ(Ask("updown", {"migrate", "down", "--to", "0", "--drop-data"}).exit_code, 0);
  EXPECT_EQ(Sql("updown", "SELECT to_regclass('trace_spans') IS NULL"), "t");
}

TEST_F(ProgramTest, RetainRemovesWhatIsOlder) {
  ASSERT_TRUE(Server().RecreateDatabase("retained").ok());
  ASSERT_EQ(Ask("retained", {"migrate"}).exit_code, 0);
  Sql("retained",
      "INSERT INTO trace_spans (started_at, trace_id, span_id, service, operation, status) SELECT "
      "now() - d * interval '1 day', gen_random_uuid(), gen_random_uuid(), 's', 'o', 'completed' "
      "FROM unnest(ARRAY[0, 400]) AS d");
  const Outcome outcome = Ask("retained", {"retain", "--days", "30"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(Sql("retained", "SELECT count(*) FROM trace_spans"), "1");
}

TEST_F(ProgramTest, DevServerIsFoundByNameAndSaidOnStderr) {
  const std::vector<std::string> state = {"SPANRING_STATE_DIR=" + Server().state_dir()};
  EXPECT_EQ(RunProgram({"dev", "status"}, state).exit_code, 0);
  const Outcome up = RunProgram({"dev", "up", "--json"}, state);
  EXPECT_EQ(up.exit_code, 0) << up.err;
  EXPECT_EQ(json::parse(up.out)["pid"], Server().pid());
  const Outcome unmigrated = RunProgram({"health"}, state);
  EXPECT_EQ(unmigrated.exit_code, 3);
  EXPECT_TRUE(Contains(unmigrated.err, "using the dev server")) << unmigrated.err;
  EXPECT_EQ(RunProgram({"health", "-d", "filled"}, state).exit_code, 0);
  const Outcome unknown = RunProgram({"waterfall", "404", "-d", "filled"}, state);
  EXPECT_TRUE(Contains(unknown.err, "spanring doctor -d filled")) << unknown.err;
  const Outcome psql = RunProgram({"dev", "psql", "-d", "filled", "-c", "SELECT 6 * 7"}, state);
  EXPECT_EQ(psql.exit_code, 0) << psql.err;
  EXPECT_TRUE(Contains(psql.out, "42"));
}

TEST_F(ProgramTest, DemoSaysWhatDiffers) {
  const std::vector<std::string> state = {"SPANRING_STATE_DIR=" + Server().state_dir()};
  const Outcome absent = RunProgram({"demo", "--runner", "/no/such/runner"}, state);
  EXPECT_EQ(absent.exit_code, 3);
  EXPECT_TRUE(Contains(absent.err, "--runner")) << absent.err;
  // A runner that claims ten spans and writes none.
  const std::string path = Server().state_dir() + "/liar";
  std::ofstream(path) << "#!/bin/sh\n\"" << std::getenv("SPANRING_PROGRAM")
                      << "\" dev psql -d spanring_demo -c \"$SPANS\" >&2\n"
                         "echo '{\"span_cost_off_ns\":0.5,\"span_cost_on_ns\":30,"
                         "\"spans_started\":10,\"spans_persisted\":10,\"spans_dropped\":0,"
                         "\"executions\":1,\"failed_executions\":[2193]}'\n";
  chmod(path.c_str(), 0755);
  std::vector<std::string> environment = state;
  environment.push_back(std::string("SPANS=") + kSpans);
  const Outcome demo = RunProgram({"demo", "--runner", path}, environment);
  EXPECT_EQ(demo.exit_code, 1) << demo.err;
  EXPECT_TRUE(Contains(demo.err, "rows in trace_spans is 5, not 10")) << demo.err;
  for (const char* part : {"[4/4] sample runner", "10 started", "0.5 ns", "156.4 s gap",
                           "NETWORK_TIMEOUT", "spanring dev down"}) {
    EXPECT_TRUE(Contains(demo.out, part)) << part << demo.out;
  }
}

}  // namespace
}  // namespace spanring::cli
