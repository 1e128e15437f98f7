#include "server_bench.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace spanring::bench {
namespace {

using Json = nlohmann::ordered_json;

std::string CpuModel() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
  }
  return "unknown";
}

}  // namespace

const char kEarlierTable[] = R"sql(
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

void Fail(const std::string& what) { throw std::runtime_error(what); }

void Check(bool good, std::string_view what) {
  if (!good) Fail(std::string(what));
}

void Check(const absl::Status& status) {
  if (!status.ok()) Fail(status.ToString());
}

std::string TemporaryRoot() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && folder[0] == '/' ? folder : "/tmp";
}

TemporaryFolder::TemporaryFolder(const std::string& root) : path_(root + "/spanring-bench-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) Fail("cannot make a folder in " + root);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void EndServerWhenInterrupted(dev::PrivateServer* server) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([server, signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    static_cast<void>(server->Kill());
  }).detach();
}

pg::Connection Connected(const std::string& conninfo) {
  auto connection = pg::Connect(conninfo, "spanring bench");
  Check(connection.status());
  return *std::move(connection);
}

void Execute(PGconn* connection, const std::string& sql) { Check(pg::Execute(connection, sql)); }

std::string Value(PGconn* connection, const std::string& sql) {
  const auto result = pg::Query(connection, sql);
  Check(result.status());
  return std::string(pg::Cell(result->get(), 0, 0));
}

Json Context(PGconn* connection, const std::string& commit) {
  Json server;
  for (const char* name :
       {"server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_compression",
        "shared_buffers", "max_wal_size", "checkpoint_timeout", "autovacuum"}) {
    server[name] = Value(connection, absl::StrCat("SHOW ", name));
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
          {"commit", commit},
          {"server", std::move(server)}};
}

nlohmann::ordered_json Percentiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
  };
  return {{"p50", at(0.5)}, {"p95", at(0.95)}, {"p99", at(0.99)}, {"max", values.back()}};
}

void WriteJson(const Json& results, const std::string& path) {
  const std::string text = results.dump(1) + "\n";
  if (path.empty()) {
    std::fputs(text.c_str(), stdout);
    return;
  }
  std::ofstream out(path);
  out << text;
  out.close();
  if (!out) Fail("cannot write " + path);
}

}  // namespace spanring::bench
