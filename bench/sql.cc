// How long the questions take that people ask of trace_spans, on weeks of history, on a private
// server: each with many keys on a connection that has asked before, and as the first on a new one.
//
//   sql_bench --spans 2000000 --spans 20000000 --json sql.json     (and what --help names)
//
// Then: what a span takes on disk, how fast spans arrive while others ask, and what it takes to
// remove a day, each beside the table of an earlier program. bench/report.py reads the JSON.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dev/process.h"
#include "dev/temporary_server.h"
#include "pg/client.h"
#include "schema/migrator.h"
#include "server_bench.h"
#include "sql_history.h"
#include "sql_serve.h"

namespace spanring::bench {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kRounds = 10;     // of each question, in keys / kRounds
constexpr int kWarmingUp = 10;  // questions to a new connection that are not counted

using Clock = std::chrono::steady_clock;

struct Settings {
  std::vector<std::uint64_t> spans = {2'000'000, 20'000'000};
  int days = 30;
  int keys = 1'000;
  int connections = 20;
  std::uint64_t ingest_rows = 1'000'000;
  std::string json;
  int clients = 100;
  int serve_seconds = 60;
  std::string commit;
  std::uint64_t seed = std::random_device()();
};

// Which ids a question is asked with.
enum class Keys { kNone, kExecutions, kTraces, kFailedExecutions };

struct Question {
  const char* name;
  Keys keys;
  const char* sql;
};

// As the programs ask them, and as people do in psql.
constexpr Question kQuestions[] = {
    {"waterfall", Keys::kExecutions,
     "SELECT * FROM trace_waterfall WHERE execution_id = $1 ORDER BY started_at"},
    {"waterfall by trace", Keys::kTraces,
     "SELECT * FROM trace_waterfall WHERE trace_id = $1 ORDER BY started_at"},
    {"tree", Keys::kExecutions, "SELECT * FROM trace_tree($1)"},
    {"tree of a trace", Keys::kTraces, "SELECT * FROM trace_tree(NULL, $1)"},
    {"diagnose", Keys::kExecutions, "SELECT * FROM diagnose_execution_trace($1)"},
    {"root cause", Keys::kFailedExecutions, "SELECT * FROM identify_root_cause($1)"},
    {"similar", Keys::kExecutions, "SELECT * FROM find_similar_traces($1)"},
    {"compare", Keys::kExecutions, "SELECT * FROM compare_executions($1::bigint, $1::bigint - 1)"},
    {"health", Keys::kNone, "SELECT * FROM trace_spans_health"},
    {"failed executions lately", Keys::kNone,
     "SELECT * FROM trace_executions WHERE status IN ('failed', 'timeout')"
     " AND started_at > now() - interval '1 hour' ORDER BY started_at DESC"},
    {"failed spans lately", Keys::kNone,
     "SELECT * FROM trace_waterfall WHERE status IN ('failed', 'timeout')"
     " AND started_at > now() - interval '1 hour' ORDER BY started_at DESC"},
    {"newest executions", Keys::kNone,
     "SELECT * FROM trace_executions ORDER BY started_at DESC LIMIT 50"},
};

double MillisecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// A database with one history in it.
class Subject {
 public:
  Subject(const Settings& settings, dev::PrivateServer* server, std::uint64_t spans)
      : settings_(settings),
        server_(server),
        history_{.executions = spans / kSpansOfExecution, .days = settings.days},
        name_(absl::StrCat("spans_", spans)),
        random_(settings.seed) {
    Check(server->RecreateDatabase(name_));
    connection_ = Connected(conninfo());
    Check(schema::Up(connection_.get()).status());
    std::fprintf(stderr, "-- %llu spans over %d days\n", static_cast<unsigned long long>(spans),
                 settings.days);
    MakeHistory(conninfo(), history_);
    // Nothing is written behind the questions' back, and all is in the system's cache.
    Execute(connection_.get(),
            "CHECKPOINT; SELECT count(*) FROM trace_spans WHERE region IS NULL;"
            " SET enable_seqscan = off; SET enable_bitmapscan = off;"
            " SELECT count(*) FROM trace_spans WHERE execution_id > 0;"
            " SELECT count(*) FROM trace_spans"
            " WHERE trace_id > '00000000-0000-0000-0000-000000000000';"
            " RESET enable_seqscan; RESET enable_bitmapscan");
  }

  // In rounds of all of them, each on a connection of its own: for as long as it lives one may be
  // slower than another by a third, by where the system happens to run it.
  Json Questions() {
    FindKeys();
    std::vector<std::vector<double>> warm(std::size(kQuestions));
    for (int round = 0; round < kRounds; ++round) {
      for (std::size_t i = 0; i < warm.size(); ++i) {
        const pg::Connection connection = Connected(conninfo());
        for (int n = 0; n < kWarmingUp; ++n) AskRandom(connection.get(), kQuestions[i]);
        for (int n = 0; n < settings_.keys / kRounds; ++n) {
          warm[i].push_back(AskRandom(connection.get(), kQuestions[i]));
        }
      }
    }
    Json results = Json::array();
    for (std::size_t i = 0; i < warm.size(); ++i) {
      const Question& question = kQuestions[i];
      results.push_back({{"name", question.name},
                         {"sql", question.sql},
                         {"ms", Percentiles(std::move(warm[i]))},
                         {"first_ms", Percentiles(FirstOnes(question))}});
      const Json& last = results.back();
      std::fprintf(stderr, "%-20s p50 %9.3f ms, p99 %9.3f ms; first %9.3f ms\n", question.name,
                   last["ms"]["p50"].get<double>(), last["ms"]["p99"].get<double>(),
                   last["first_ms"]["p50"].get<double>());
    }
    return results;
  }

  // Bytes a span, here and in the table of an earlier program that has a day of the same rows.
  Json Sizes() {
    const auto of = [&](const std::string& relations, const std::string& rows) -> Json {
      const auto sum = [&](const char* function) {
        return Number(absl::StrCat("SELECT sum(", function, "(relid)) / (", rows, ") FROM (",
                                   relations, ") AS parts (relid)"));
      };
      return {{"heap", sum("pg_table_size")}, {"indexes", sum("pg_indexes_size")}};
    };
    const std::string all = absl::StrCat(history_.executions * kSpansOfExecution, ".0");
    return {
        {"trace_spans", of("SELECT relid FROM pg_partition_tree('trace_spans') WHERE isleaf", all)},
        {"trace_execution_summaries", of("SELECT 'trace_execution_summaries'::regclass", all)},
        {"trace_rollups", of("SELECT 'trace_rollups'::regclass", all)},
        {"earlier", of("SELECT 'earlier.trace_spans'::regclass",
                       "SELECT count(*)::numeric FROM earlier.trace_spans")}};
  }

  // The last full day's rows into an empty day of either table, which differ by their indexes.
  Json EarlierTable() {
    Execute(connection_.get(), kEarlierTable);
    constexpr char kRows[] =
        " FROM trace_spans WHERE started_at >= date_trunc('day', now(), 'UTC') - interval '1 day'"
        " AND started_at < date_trunc('day', now(), 'UTC')";
    constexpr char kColumns[] =
        "trace_id, span_id, parent_span_id, service, operation, completed_at, duration_ms, status,"
        " job_id, execution_id, model_id, region, metadata, error_message, error_type, created_at,"
        " started_at";
    const double rows = Number(absl::StrCat("SELECT count(*)", kRows));
    const auto rate = [&](const std::string& sql) {
      Execute(connection_.get(), "CHECKPOINT");
      const Clock::time_point begin = Clock::now();
      Execute(connection_.get(), sql);
      return rows / (MillisecondsSince(begin) / 1e3);
    };
    const double earlier = rate(
        absl::StrCat("INSERT INTO earlier.trace_spans (", kColumns, ") SELECT ", kColumns, kRows));
    // A week ahead lies a day without rows.
    std::string shifted = kColumns;
    shifted.replace(shifted.rfind("started_at"), 10, "started_at + interval '3 days'");
    const double ours =
        rate(absl::StrCat("INSERT INTO trace_spans (", kColumns, ") SELECT ", shifted, kRows));
    Execute(connection_.get(),
            "DELETE FROM trace_spans WHERE started_at > date_trunc('day', now(), 'UTC')"
            " + interval '2 days'");
    return {{"rows", rows}, {"trace_spans_per_s", ours}, {"earlier_per_s", earlier}};
  }

  // By a traced program of its own, alone and beside a connection that asks without a pause.
  Json Ingest() {
    const double alone = IngestRate();
    std::atomic<bool> stop = false;
    std::vector<double> asked;
    std::thread asking([&] {
      const pg::Connection connection = Connected(conninfo());
      std::mt19937_64 random(settings_.seed + 1);
      while (!stop) {
        for (const Question& question : kQuestions) {
          if (question.keys != Keys::kExecutions && question.keys != Keys::kTraces) continue;
          asked.push_back(AskOnce(connection.get(), question, RandomKey(question.keys, &random)));
        }
      }
    });
    double beside = 0;
    std::exception_ptr failed;
    try {
      beside = IngestRate();
    } catch (...) {
      failed = std::current_exception();
    }
    stop = true;
    asking.join();
    if (failed != nullptr) std::rethrow_exception(failed);
    const std::size_t count = asked.size();
    return {{"rows", settings_.ingest_rows},
            {"alone_per_s", alone},
            {"beside_questions_per_s", beside},
            {"questions", count},
            {"questions_ms", Percentiles(std::move(asked))}};
  }

  Json Serve() {
    return ServeCrowd(conninfo(), {.connections = settings_.clients,
                                   .seconds = settings_.serve_seconds,
                                   .executions = history_.executions,
                                   .seed = settings_.seed});
  }

  // What is due once a day: to look through a day for rows of others, of which it has none.
  Json Upkeep() {
    const Clock::time_point begin = Clock::now();
    Execute(connection_.get(), "SELECT trace_fold_day((now() AT TIME ZONE 'UTC')::date - 1)");
    return {{"ms", MillisecondsSince(begin)}};
  }

  // A full day of it.
  Json Retention() {
    // The first day is not full.
    Execute(connection_.get(), absl::StrCat("SELECT trace_retain(", history_.days - 1, ")"));
    Execute(connection_.get(), "VACUUM trace_execution_summaries, trace_rollups");
    Execute(connection_.get(), "CHECKPOINT");
    const double before = Number("SELECT sum(spans) FROM trace_rollups WHERE hours = 24");
    Clock::time_point begin = Clock::now();
    Execute(connection_.get(), absl::StrCat("SELECT trace_retain(", history_.days - 2, ")"));
    const double ours = MillisecondsSince(begin);
    const double removed = before - Number("SELECT sum(spans) FROM trace_rollups WHERE hours = 24");
    begin = Clock::now();
    Execute(connection_.get(), "DELETE FROM earlier.trace_spans WHERE created_at < now()");
    Execute(connection_.get(), "VACUUM earlier.trace_spans");
    return {{"spans", removed}, {"ms", ours}, {"earlier_ms", MillisecondsSince(begin)}};
  }

 private:
  std::string conninfo() const { return server_->conninfo(name_); }

  double Number(const std::string& sql) { return std::stod(Value(connection_.get(), sql)); }

  std::string RandomKey(Keys keys, std::mt19937_64* random) const {
    if (keys == Keys::kNone) return "";
    if (keys == Keys::kFailedExecutions) return failed_[(*random)() % failed_.size()];
    if (keys == Keys::kTraces) return traces_[(*random)() % traces_.size()];
    return std::to_string(2 + (*random)() % (history_.executions - 1));
  }

  void FindKeys() {
    if (!failed_.empty()) return;
    const auto column = [&](const std::string& sql) {
      const auto result = pg::Query(connection_.get(), sql);
      Check(result.status());
      std::vector<std::string> values;
      for (int row = 0; row < PQntuples(result->get()); ++row) {
        values.emplace_back(pg::Cell(result->get(), row, 0));
      }
      Check(!values.empty(), "no keys");
      return values;
    };
    const std::string some = absl::StrCat(" ORDER BY hashint8extended(execution_id, ",
                                          settings_.seed % 1'000'000, ") LIMIT ", settings_.keys);
    failed_ = column(
        "SELECT execution_id FROM trace_execution_summaries WHERE root_status <> 'completed'" +
        some);
    traces_ = column("SELECT trace_id FROM trace_execution_summaries" + some);
  }

  static double AskOnce(PGconn* connection, const Question& question, const std::string& key) {
    std::vector<pg::Parameter> parameters;
    if (question.keys != Keys::kNone) parameters.push_back({key});
    const Clock::time_point begin = Clock::now();
    const auto result = pg::Query(connection, question.sql, parameters);
    const double ms = MillisecondsSince(begin);
    Check(result.status());
    // Nobody failed in the last hour of a short history.
    Check(PQntuples(result->get()) > 0 || question.keys == Keys::kNone,
          absl::StrCat(question.name, " of ", key, " has no rows"));
    return ms;
  }

  double AskRandom(PGconn* connection, const Question& question) {
    return AskOnce(connection, question, RandomKey(question.keys, &random_));
  }

  std::vector<double> FirstOnes(const Question& question) {
    std::vector<double> first;
    for (int i = 0; i < settings_.connections; ++i) {
      const pg::Connection fresh = Connected(conninfo());
      first.push_back(AskRandom(fresh.get(), question));
    }
    return first;
  }

  double IngestRate() {
    const TemporaryFolder rings("/dev/shm");
    const TemporaryFolder journal(TemporaryRoot());
    dev::Command command;
    command.arguments = {
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / "rate_bench",
        "--child=whole",
        "--conninfo=" + conninfo(),
        absl::StrCat("--rows=", settings_.ingest_rows),
        "--batch-rows=10000",
        absl::StrCat("--server=", server_->pid())};
    command.environment = {"ENABLE_DB_TRACING=true",
                           "DATABASE_URL=" + server_->url(name_),
                           "SPANRING_JOURNAL_BYTES=4294967296",
                           "SPANRING_RING_BYTES=16777216",
                           "SPANRING_RING_DIR=" + rings.path(),
                           "SPANRING_JOURNAL_DIR=" + journal.path()};
    const auto finished = dev::Run(command, dev::IdentityOf(getuid(), getgid()));
    Check(finished.status());
    const std::size_t begin = finished->output.rfind("RESULT ");
    Check(finished->exit_code == 0 && begin != std::string::npos, finished->output);
    const Json result = Json::parse(finished->output.substr(begin + 7));
    return static_cast<double>(settings_.ingest_rows) / result["seconds"].get<double>();
  }

  const Settings& settings_;
  dev::PrivateServer* const server_;
  const History history_;
  const std::string name_;
  std::mt19937_64 random_;
  pg::Connection connection_;
  std::vector<std::string> failed_;
  std::vector<std::string> traces_;
};

Json Measure(const Settings& settings) {
  auto server = dev::TemporaryServer::Create(
      {.durable = true,
       .hba_lines = {},
       // Synchronous commits would be paid by the loading only; vacuum would hit some questions.
       .settings = {"shared_buffers = 1GB", "max_wal_size = 16GB", "synchronous_commit = off",
                    "autovacuum = off"}});
  Check(server.status());
  EndServerWhenInterrupted(&**server);
  Json sizes = Json::array();
  Json context;
  for (const std::uint64_t spans : settings.spans) {
    Subject subject(settings, &**server, spans);
    Json size = {{"spans", spans}, {"days", settings.days}};
    size["questions"] = subject.Questions();
    size["load"] = subject.EarlierTable();
    size["bytes_per_span"] = subject.Sizes();
    size["ingest"] = subject.Ingest();
    size["serve"] = subject.Serve();
    size["upkeep"] = subject.Upkeep();
    size["retention"] = subject.Retention();
    sizes.push_back(std::move(size));
  }
  const pg::Connection connection = Connected((*server)->conninfo());
  context = Context(connection.get(), settings.commit);
  context["seed"] = settings.seed;
  context["keys"] = settings.keys;
  context["connections"] = settings.connections;
  return {{"context", std::move(context)}, {"sizes", std::move(sizes)}};
}

int Main(int argc, char** argv) {
  Settings settings;
  CLI::App app("How long questions to trace_spans take, on weeks of history.");
  app.add_option("--spans", settings.spans, "in the history; several are measured one by one")
      ->capture_default_str();
  app.add_option("--days", settings.days, "that it lasts")
      ->check(CLI::Range(3, 365))
      ->capture_default_str();
  app.add_option("--keys", settings.keys, "with which each question is asked")
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  app.add_option("--connections", settings.connections, "new ones, with one question each")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  app.add_option("--ingest-rows", settings.ingest_rows, "that arrive while others ask")
      ->capture_default_str();
  app.add_option("--clients", settings.clients, "of spanring serve, at the same time")
      ->check(CLI::Range(1, 500))
      ->capture_default_str();
  app.add_option("--serve-seconds", settings.serve_seconds, "that they ask")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--seed", settings.seed, "of the keys");
  app.add_option("--commit", settings.commit, "of this program, for the JSON");
  app.add_option("--json", settings.json, "where the results go; else standard output");
  CLI11_PARSE(app, argc, argv);
  try {
    for (const std::uint64_t spans : settings.spans) {
      Check(spans >= 1'000 * kSpansOfExecution, "--spans is 5000 or more");
    }
    WriteJson(Measure(settings), settings.json);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sql_bench: %s\n", error.what());
    return 1;
  }
}

}  // namespace
}  // namespace spanring::bench

int main(int argc, char** argv) { return spanring::bench::Main(argc, argv); }
