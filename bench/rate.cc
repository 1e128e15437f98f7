// How many spans a second arrive in trace_spans, beside a raw COPY of the same rows and beside the
// earlier way, on a private server, all in one run.
//
//   rate_bench --rows 300000 --repetitions 5 --json rate.json      (and what --help names)
//
// Each repetition of each case is a process of its own (rate_cases.h), in random order, on tables
// that were emptied and a server that has just made a checkpoint. bench/report.py reads the JSON.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dev/process.h"
#include "dev/temporary_server.h"
#include "flush/segment.h"
#include "pg/client.h"
#include "platform/private_files.h"
#include "rate_cases.h"
#include "schema/migrator.h"

namespace spanring::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Settings {
  std::uint64_t rows = 300'000;
  std::uint64_t earlier_rows = 5'000;
  int repetitions = 5;
  bool durable = true;
  std::string only;
  std::string json;
  std::string commit;
  std::uint64_t seed = std::random_device()();
};

struct Case {
  std::string name;
  std::string kind;
  std::uint64_t batch_rows;
  std::vector<std::string> environment;  // Of the tracer.
  std::string table = "trace_spans";
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"raw/10000", "raw", 10'000, {}},
      {"raw/1000", "raw", 1'000, {}},
      {"raw/50000", "raw", 50'000, {}},
      {"whole/10000", "whole", 10'000, {}},
      {"whole/1000", "whole", 1'000, {}},
      {"whole/50000", "whole", 50'000, {}},
      {"whole/memory", "whole", 10'000, {"SPANRING_RING_DIR=off", "SPANRING_JOURNAL_DIR=off"}},
      {"whole/1_shipper", "whole", 10'000, {"SPANRING_SHIPPERS=1"}},
      {"earlier/trace_spans", "earlier", 1, {}},
      {"earlier/earlier_table", "earlier", 1, {}, "earlier.trace_spans"}};
  return cases;
}

// A plain table of seven B-trees, as an earlier program makes it (tests/schema/adoption_test.cc);
// which columns the last three are on is a guess.
constexpr char kEarlierTable[] = R"sql(
CREATE SCHEMA earlier;
CREATE TABLE earlier.trace_spans (
    id bigserial PRIMARY KEY, trace_id uuid NOT NULL, span_id uuid NOT NULL UNIQUE,
    parent_span_id uuid, service varchar(50) NOT NULL, operation varchar(100) NOT NULL,
    started_at timestamptz NOT NULL, completed_at timestamptz, duration_ms integer,
    status varchar(20) NOT NULL, job_id varchar(255), execution_id bigint, model_id varchar(100),
    region varchar(50), metadata jsonb, error_message text, error_type varchar(100),
    created_at timestamptz DEFAULT now());
CREATE INDEX ON earlier.trace_spans (trace_id);
CREATE INDEX ON earlier.trace_spans (execution_id);
CREATE INDEX ON earlier.trace_spans (job_id);
CREATE INDEX ON earlier.trace_spans (started_at);
CREATE INDEX ON earlier.trace_spans (service, operation);
)sql";

constexpr char kEmptyTables[] =
    "TRUNCATE trace_spans, trace_open_spans, trace_batches, trace_writers, trace_drops,"
    " trace_rollups, trace_execution_summaries,"
    " earlier.trace_spans";

[[noreturn]] void Fail(const std::string& what) { throw std::runtime_error(what); }
void Check(const absl::Status& status) {
  if (!status.ok()) Fail(status.ToString());
}

std::string TemporaryRoot() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && folder[0] == '/' ? folder : "/tmp";
}

class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& root) : path_(root + "/spanring-rate-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) Fail("cannot make a folder in " + root);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Runner {
 public:
  explicit Runner(const Settings& settings)
      : settings_(settings), files_(TemporaryRoot()), server_(MakeServer(settings.durable)) {
    auto connection = pg::Connect(server_->conninfo(), "spanring rate");
    Check(connection.status());
    connection_ = *std::move(connection);
    Check(schema::Up(connection_.get()).status());
    Check(pg::Execute(connection_.get(), "SELECT trace_ensure_partitions()"));
    Check(pg::Execute(connection_.get(), kEarlierTable));
    EncodeRows();
  }

  Json Run() {
    std::vector<const Case*> order;
    for (const Case& one : Cases()) {
      if (one.name.find(settings_.only) == std::string::npos) continue;
      order.insert(order.end(), static_cast<std::size_t>(settings_.repetitions), &one);
    }
    std::shuffle(order.begin(), order.end(), std::mt19937_64(settings_.seed));
    // The server's files and its log are made anew by the first, which does not count.
    if (!order.empty()) static_cast<void>(Repeat(*order.front()));
    std::vector<std::pair<std::string, Json>> done;
    for (const Case* one : order) {
      done.emplace_back(one->name, Repeat(*one));
      const Json& last = done.back().second;
      std::fprintf(stderr, "[%zu/%zu] %-22s %9.0f rows/s  others: %.2f processors%s\n", done.size(),
                   order.size(), one->name.c_str(), last["rows_per_s"].get<double>(),
                   last["others_cpus"].get<double>(), last.contains("void") ? "  VOID" : "");
    }
    Json cases = Json::array();
    for (const Case& one : Cases()) {
      Json repetitions = Json::array();
      for (const auto& [name, result] : done) {
        if (name == one.name) repetitions.push_back(result);
      }
      if (repetitions.empty()) continue;
      cases.push_back({{"name", one.name},
                       {"rows", RowsOf(one)},
                       {"batch_rows", one.batch_rows},
                       {"repetitions", std::move(repetitions)}});
    }
    return {{"context", Context()}, {"cases", std::move(cases)}};
  }

 private:
  static dev::TemporaryServer MakeServer(bool durable) {
    // Vacuum would hit some repetitions and not others.
    auto server = dev::TemporaryServer::Create(
        {.durable = durable, .hba_lines = {}, .settings = {"autovacuum = off"}});
    Check(server.status());
    return *std::move(server);
  }

  std::uint64_t RowsOf(const Case& one) const {
    return one.kind == "earlier" ? settings_.earlier_rows : settings_.rows;
  }

  std::string Value(const std::string& sql) {
    const auto result = pg::Query(connection_.get(), sql);
    Check(result.status());
    return std::string(pg::Cell(result->get(), 0, 0));
  }

  Json RunChild(const Case& one, const std::string& database_url, const std::string& rings,
                const std::string& journal) {
    dev::Command command;
    command.arguments = {fs::read_symlink("/proc/self/exe"),
                         "--child=" + one.kind,
                         "--conninfo=" + server_->conninfo(),
                         "--rows-file=" + files_.path() + "/rows",
                         "--table=" + one.table,
                         absl::StrCat("--rows=", RowsOf(one)),
                         absl::StrCat("--batch-rows=", one.batch_rows),
                         absl::StrCat("--server=", server_->pid())};
    command.environment = {"ENABLE_DB_TRACING=true", "DATABASE_URL=" + database_url,
                           "SPANRING_EXIT_TIMEOUT_MS=0", "SPANRING_JOURNAL_BYTES=4294967296",
                           // Room for all that a thread may be ahead: nothing is dropped, however
                           // late the drainer is on a crowded machine.
                           "SPANRING_RING_BYTES=16777216",
                           absl::StrCat("SPANRING_BATCH_ROWS=", one.batch_rows)};
    std::vector<std::string> own = one.environment;
    const auto add = [&](const std::string& name, const std::string& value) {
      if (std::none_of(own.begin(), own.end(),
                       [&](const std::string& line) { return line.starts_with(name + "="); })) {
        own.push_back(absl::StrCat(name, "=", value));
      }
    };
    add("SPANRING_RING_DIR", rings);
    add("SPANRING_JOURNAL_DIR", journal);
    command.environment.insert(command.environment.end(), own.begin(), own.end());
    const auto finished = dev::Run(command, dev::IdentityOf(getuid(), getgid()));
    Check(finished.status());
    if (finished->exit_code != 0) Fail(one.name + ": " + finished->output);
    const std::string& text = finished->output;
    const std::size_t begin = text.rfind("RESULT ");
    if (begin == std::string::npos) Fail(one.name + ": " + text);
    return Json::parse(text.substr(begin + 7));
  }

  Json Repeat(const Case& one) {
    Check(pg::Execute(connection_.get(), kEmptyTables));
    Check(pg::Execute(connection_.get(), "CHECKPOINT"));
    const TemporaryFolder rings("/dev/shm");
    const TemporaryFolder journal(TemporaryRoot());
    Json result = RunChild(one, server_->url(), rings.path(), journal.path());
    const std::uint64_t rows = RowsOf(one);
    result["rows_per_s"] = static_cast<double>(rows) / result["seconds"].get<double>();
    const std::string stored = Value("SELECT count(*) FROM " + one.table);
    const std::uint64_t expected = rows + result["warm_up_rows"].get<std::uint64_t>();
    if (stored != std::to_string(expected)) {
      result["void"] = absl::StrCat(stored, " rows are there, of ", expected);
    }
    return result;
  }

  // By the tracer itself, into a journal whose database is not there.
  void EncodeRows() {
    const TemporaryFolder rings("/dev/shm");
    const TemporaryFolder journal(TemporaryRoot());
    RunChild({"encode", "encode", 10'000, {"SPANRING_LOG=off"}},
             "postgresql:///none?host=" + journal.path(), rings.path(), journal.path());
    std::vector<fs::path> segments;
    for (const auto& entry : fs::recursive_directory_iterator(journal.path())) {
      if (flush::SequenceOf(entry.path().filename().string()) != 0)
        segments.push_back(entry.path());
    }
    std::sort(segments.begin(), segments.end());
    std::ofstream file(files_.path() + "/rows", std::ios::binary);
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    for (const fs::path& path : segments) {
      const auto folder = platform::OpenFolder(path.parent_path());
      Check(folder.status());
      const auto segment =
          flush::ReadSegmentFile(folder->get(), flush::SequenceOf(path.filename().string()));
      Check(segment.status());
      file.write(reinterpret_cast<const char*>(segment->data.data()),
                 static_cast<std::streamsize>(segment->data.size()));
      rows += segment->rows;
      bytes += segment->data.size();
    }
    file.close();
    if (!file || rows <= settings_.rows) Fail(absl::StrCat("only ", rows, " rows were encoded"));
    row_bytes_ = static_cast<double>(bytes) / static_cast<double>(rows);
  }

  Json Context() {
    Json server;
    for (const char* name :
         {"server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_compression",
          "shared_buffers", "max_wal_size", "checkpoint_timeout", "autovacuum"}) {
      server[name] = Value(absl::StrCat("SHOW ", name));
    }
    return {{"date", absl::FormatTime("%Y-%m-%d", absl::Now(), absl::UTCTimeZone())},
            {"cpu_model", CpuModel()},
            {"num_cpus", std::thread::hardware_concurrency()},
#if defined(__clang__)
            {"compiler", "clang " __clang_version__},
#else
            {"compiler", "g++ " __VERSION__},
#endif
            {"flags", SPANRING_BENCH_FLAGS},
            {"commit", settings_.commit},
            {"seed", settings_.seed},
            {"row_bytes", row_bytes_},
            {"durable", settings_.durable},
            {"server", std::move(server)}};
  }

  static std::string CpuModel() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
      if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
    }
    return "unknown";
  }

  const Settings settings_;
  const TemporaryFolder files_;
  dev::TemporaryServer server_;
  pg::Connection connection_;
  double row_bytes_ = 0;
};

int Main(int argc, char** argv) {
  Settings settings;
  RateCase child;
  std::uint64_t rows = settings.rows;
  CLI::App app("Spans a second into trace_spans, beside raw COPY and the earlier way.");
  app.add_option("--rows", rows, "rows of a repetition; a multiple of 20")->capture_default_str();
  app.add_option("--earlier-rows", settings.earlier_rows, "of one of the earlier way")
      ->capture_default_str();
  app.add_option("--repetitions", settings.repetitions)
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("!--not-durable", settings.durable,
               "fsync, full_page_writes and synchronous_commit off");
  app.add_option("--only", settings.only, "the cases whose name contains this");
  app.add_option("--seed", settings.seed, "of the order");
  app.add_option("--commit", settings.commit, "of this program, for the JSON");
  app.add_option("--json", settings.json, "where the results go; else standard output");
  // Of a child.
  app.add_option("--child", child.kind)->group("");
  app.add_option("--conninfo", child.conninfo)->group("");
  app.add_option("--rows-file", child.rows_file)->group("");
  app.add_option("--table", child.table)->group("");
  app.add_option("--batch-rows", child.batch_rows)->group("");
  app.add_option("--server", child.server)->group("");
  CLI11_PARSE(app, argc, argv);
  child.rows = settings.rows = rows;
  try {
    if (!child.kind.empty()) {
      std::printf("RESULT %s\n", RunRateCase(child).dump().c_str());
      return 0;
    }
    if (rows == 0 || rows % 20 != 0) Fail("--rows is a multiple of 20");
    Runner runner(settings);
    const std::string text = runner.Run().dump(1) + "\n";
    if (settings.json.empty()) {
      std::fputs(text.c_str(), stdout);
      return 0;
    }
    std::ofstream out(settings.json);
    out << text;
    out.close();
    if (!out) Fail("cannot write " + settings.json);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rate_bench: %s\n", error.what());
    return 1;
  }
}

}  // namespace
}  // namespace spanring::bench

int main(int argc, char** argv) { return spanring::bench::Main(argc, argv); }
