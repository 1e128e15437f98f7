// What the benchmarks on a private PostgreSQL share.
// Threads: as said; before any other is started.
// Memory: plain values; a folder goes with its object.
// Errors: std::runtime_error, which ends the benchmark.
// Design: docs/performance.md
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "dev/private_server.h"
#include "pg/client.h"

namespace spanring::bench {

// A plain table of seven B-trees, as an earlier program makes it (tests/schema/adoption_test.cc);
// which columns the last three are on is a guess. In a schema of its own: earlier.trace_spans.
extern const char kEarlierTable[];

[[noreturn]] void Fail(const std::string& what);
void Check(bool good, std::string_view what);
void Check(const absl::Status& status);

// TMPDIR, or /tmp.
std::string TemporaryRoot();

class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& root);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// From here on SIGINT and SIGTERM end the server, whereupon the program fails, and cleans up.
void EndServerWhenInterrupted(dev::PrivateServer* server);

pg::Connection Connected(const std::string& conninfo);
void Execute(PGconn* connection, const std::string& sql);

// The first cell of the first row.
std::string Value(PGconn* connection, const std::string& sql);

// Date, machine, compiler, commit, and the server's settings that matter.
nlohmann::ordered_json Context(PGconn* connection, const std::string& commit);

// p50, p95, p99 and max of them; at least one.
nlohmann::ordered_json Percentiles(std::vector<double> values);

void WriteJson(const nlohmann::ordered_json& results, const std::string& path);

}  // namespace spanring::bench
