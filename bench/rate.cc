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
#include <exception>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dev/process.h"
#include "dev/temporary_server.h"
#include "flush/segment.h"
#include "pg/client.h"
#include "platform/private_files.h"
#include "rate_cases.h"
#include "schema/migrator.h"
#include "server_bench.h"

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

constexpr char kEmptyTables[] =
    "TRUNCATE trace_spans, trace_open_spans, trace_batches, trace_writers, trace_drops,"
    " trace_rollups, trace_execution_summaries,"
    " earlier.trace_spans";

class Runner {
 public:
  explicit Runner(const Settings& settings)
      : settings_(settings), files_(TemporaryRoot()), server_(MakeServer(settings.durable)) {
    EndServerWhenInterrupted(&*server_);
    connection_ = Connected(server_->conninfo());
    Check(schema::Up(connection_.get()).status());
    Execute(connection_.get(), "SELECT trace_ensure_partitions()");
    Execute(connection_.get(), kEarlierTable);
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
    Json context = Context(connection_.get(), settings_.commit);
    context["seed"] = settings_.seed;
    context["row_bytes"] = row_bytes_;
    context["durable"] = settings_.durable;
    return {{"context", std::move(context)}, {"cases", std::move(cases)}};
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
    Execute(connection_.get(), kEmptyTables);
    Execute(connection_.get(), "CHECKPOINT");
    const TemporaryFolder rings("/dev/shm");
    const TemporaryFolder journal(TemporaryRoot());
    Json result = RunChild(one, server_->url(), rings.path(), journal.path());
    const std::uint64_t rows = RowsOf(one);
    result["rows_per_s"] = static_cast<double>(rows) / result["seconds"].get<double>();
    const std::string stored = Value(connection_.get(), "SELECT count(*) FROM " + one.table);
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
    WriteJson(runner.Run(), settings.json);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rate_bench: %s\n", error.what());
    return 1;
  }
}

}  // namespace
}  // namespace spanring::bench

int main(int argc, char** argv) { return spanring::bench::Main(argc, argv); }
