// `spanring import` as a user calls it, into a real PostgreSQL.
#include "cli/program.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "import/loader.h"
#include "import/reading.h"
#include "support/database.h"

namespace spanring::importer {
namespace {

using cli::Outcome;
using nlohmann::json;

class ImportProgram : public testing::Test {
 protected:
  ImportProgram() {
    std::string folder = (std::filesystem::temp_directory_path() / "spanring-imp-XXXXXX").string();
    if (mkdtemp(folder.data()) != nullptr) folder_ = folder;
  }
  ~ImportProgram() override { std::filesystem::remove_all(folder_); }

  std::string File(const std::string& name, std::string_view contents) const {
    const std::string path = absl::StrCat(folder_, "/", name);
    std::ofstream(path, std::ios::binary) << contents;
    return path;
  }
  std::vector<std::string> Environment() const {
    return {"DATABASE_URL=" + database_.conninfo(), "TMPDIR=" + folder_};
  }
  Outcome Import(std::vector<std::string> arguments, const std::string& input = "/dev/null") const {
    arguments.insert(arguments.begin(), "import");
    return cli::RunProgram(arguments, Environment(), input);
  }
  std::string Count() const { return database_.Value("SELECT count(*) FROM trace_spans"); }

  test::TestDatabase database_;
  std::string folder_;
};

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// So many spans as Zipkin has them, a line each.
std::string ZipkinSpans(int n) {
  std::string text = "[";
  for (int i = 1; i <= n; ++i) {
    absl::StrAppend(&text, i > 1 ? ",\n" : "", R"({"traceId": "70f198ee56343ba8", "id": ")",
                    absl::Hex(i), R"(", "name": "step", "timestamp": )", 1'700'000'000'000'000 + i,
                    R"(, "duration": 5, "localEndpoint": {"serviceName": "web"}})");
  }
  return text + "]";
}

constexpr char kOtlp[] = R"({"resourceSpans": [{"resource": {"attributes": [
  {"key": "service.name", "value": {"stringValue": "router"}},
  {"key": "region", "value": {"stringValue": "eu"}},
  {"key": "host.name", "value": {"stringValue": "h1"}}]},
  "scopeSpans": [{"spans": [{
    "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331",
    "parentSpanId": "00f067aa0ba902b7", "name": "call", "kind": 3,
    "startTimeUnixNano": "1700000000000000001", "endTimeUnixNano": "1700000002500000012",
    "attributes": [
      {"key": "execution_id", "value": {"intValue": "42"}},
      {"key": "job_id", "value": {"stringValue": "job-7"}},
      {"key": "model_id", "value": {"stringValue": "m"}},
      {"key": "error.type", "value": {"stringValue": "ECONNREFUSED"}}],
    "status": {"code": 2, "message": "connection refused"}},
   {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "00f067aa0ba902b7",
    "name": "open\u0000", "startTimeUnixNano": "1700000000000000000"}]}]}]})";

TEST_F(ImportProgram, ASpanBecomesItsRow) {
  const Outcome outcome = Import({File("t.json", kOtlp)});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(Contains(outcome.out, "t.json (otlp): 2 spans imported")) << outcome.out;
  EXPECT_EQ(outcome.err, "");
  using Rows = std::vector<std::vector<std::string>>;
  EXPECT_EQ(database_.Rows("SELECT started_at AT TIME ZONE 'UTC', completed_at AT TIME ZONE 'UTC', "
                           "duration_ns, duration_ms, trace_id, span_id, parent_span_id, service, "
                           "operation, status, execution_id, job_id, model_id, region, error_type, "
                           "error_message, metadata FROM trace_spans ORDER BY started_at, span_id"),
            (Rows{{"2023-11-14 22:13:20", "<null>", "<null>", "<null>",
                   "0af76519-16cd-43dd-8448-eb211c80319c", "00000000-0000-0000-00f0-67aa0ba902b7",
                   "<null>", "router", "open\xef\xbf\xbd", "started", "<null>", "<null>", "<null>",
                   "eu", "<null>", "<null>", R"({"resource": {"host.name": "h1"}})"},
                  {"2023-11-14 22:13:20", "2023-11-14 22:13:22.5", "2500000011", "2500",
                   "0af76519-16cd-43dd-8448-eb211c80319c", "00000000-0000-0000-b7ad-6b7169203331",
                   "00000000-0000-0000-00f0-67aa0ba902b7", "router", "call", "failed", "42",
                   "job-7", "m", "eu", "ECONNREFUSED", "connection refused",
                   R"({"resource": {"host.name": "h1"}, "span.kind": "client", )"
                   R"("error.type": "ECONNREFUSED"})"}}));
  EXPECT_EQ(database_.Rows("SELECT service, spans_started, spans_persisted, spans_dropped, "
                           "stopped_at IS NOT NULL FROM trace_writers"),
            (Rows{{"spanring import", "2", "2", "0", "t"}}));
}

TEST_F(ImportProgram, DaysOfTheLastYearGetPartitionsOfTheirOwn) {
  const auto at = [](int days_ago) {
    return std::to_string(absl::ToUnixNanos(absl::Now() - absl::Hours(24 * days_ago)));
  };
  std::string text = kOtlp;
  text = absl::StrReplaceAll(text, {{"1700000000000000001", at(40)},
                                    {"1700000002500000012", at(39)},
                                    {"1700000000000000000", at(700)}});
  const Outcome outcome = Import({File("t.json", text)});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans"), "2");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_spans_default"), "1") << "of long ago";
}

TEST_F(ImportProgram, EveryFormatAlsoGzippedAndFromStandardInput) {
  const std::string jaeger = File("j", R"({"data": [{"spans": [
    {"traceID": "1", "spanID": "1", "startTime": 5, "duration": 6, "processID": "p"}],
    "processes": {"p": {"serviceName": "web", "tags": []}}}]})");
  const std::string otlp = File("o.gz", Gzipped(kOtlp));
  const std::string csv = File("c",
                               "TraceID,SpanID,ParentID,PodName,OperationName,"
                               "StartTimeUnixNano,EndTimeUnixNano,Duration\n"
                               "1,2,root,web-1-2,op,5,6,1\n");
  const std::string zipkin = File("z", ZipkinSpans(3));
  EXPECT_EQ(Import({jaeger, otlp, csv}).exit_code, 0);
  const Outcome piped = Import({"-", "--json"}, zipkin);
  EXPECT_EQ(piped.exit_code, 0) << piped.err;
  EXPECT_EQ(json::parse(piped.out)["imported"], 3) << piped.out;
  EXPECT_EQ(json::parse(piped.out)["files"][0]["format"], "zipkin");
  EXPECT_EQ(Count(), "7");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 4)
      << "a copy of standard input is left";
}

TEST_F(ImportProgram, TheSameContentAgainChangesNothing) {
  const std::string text = ZipkinSpans(25'000);
  const std::string file = File("t.json", text);
  EXPECT_TRUE(Contains(Import({file}).out, "25,000 spans imported"));
  for (const std::string& again : {file, File("other.json", text), File("t.gz", Gzipped(text))}) {
    const Outcome outcome = Import({again});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_TRUE(Contains(outcome.out, "already imported: 25,000 spans")) << outcome.out;
    EXPECT_FALSE(Contains(outcome.out, ", ")) << outcome.out;
  }
  EXPECT_EQ(Count(), "25000");
  EXPECT_EQ(database_.Value("SELECT spans_persisted FROM trace_writers"), "25000");
  EXPECT_EQ(database_.Value("SELECT count(*) FROM trace_batches"), "3");
}

// An import of 35,000 spans that stands at its third batch, behind a row of ours, until it is let
// go.
class HeldImport {
 public:
  HeldImport(const test::TestDatabase& database, const std::string& writer,
             const std::function<int()>& start)
      : database_(database), other_(database.Connect()) {
    database_.Run(absl::StrCat("BEGIN; INSERT INTO trace_batches (writer_id, sequence, spans) ",
                               "VALUES ('", writer, "', 3, 1)"));
    pid_ = start();
    WaitFor("SELECT count(*) FROM trace_spans", "20000");
    WaitFor(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event = 'transactionid'",
        "1");
  }

  std::string Ask(const std::string& sql) const {
    const auto result = pg::Query(other_.get(), sql);
    return result.ok() ? std::string(pg::Cell(result->get(), 0, 0)) : result.status().ToString();
  }
  void WaitFor(const std::string& sql, const std::string& want) const {
    for (int i = 0; i < 3000 && Ask(sql) != want; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(Ask(sql), want) << sql;
  }
  int pid() const { return pid_; }
  void LetGo() const { database_.Run("ROLLBACK"); }

 private:
  const test::TestDatabase& database_;
  const pg::Connection other_;
  int pid_ = -1;
};

TEST_F(ImportProgram, AfterAKillItGoesOnWhereItStopped) {
  const std::string file = File("t.json", ZipkinSpans(35'000));
  const json plan = json::parse(Import({file, "--dry-run", "--json"}).out);
  EXPECT_EQ(Count(), "0");
  const HeldImport held(database_, plan["files"][0]["writer_id"],
                        [&] { return cli::StartProgram({"import", file}, Environment()); });
  ASSERT_GT(held.pid(), 0);
  kill(held.pid(), SIGKILL);
  EXPECT_EQ(waitpid(held.pid(), nullptr, 0), held.pid());
  held.LetGo();
  const Outcome outcome = Import({file, "--json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const json answer = json::parse(outcome.out);
  EXPECT_EQ(answer["already_imported"], 20'000);
  EXPECT_EQ(answer["imported"], 15'000);
  EXPECT_EQ(Count(), "35000");
  EXPECT_EQ(database_.Value("SELECT count(DISTINCT span_id) FROM trace_spans"), "35000");
}

TEST_F(ImportProgram, AConnectionThatBreaksAmidABatchIsMadeAgain) {
  const std::string file = File("t.json", ZipkinSpans(35'000));
  const json plan = json::parse(Import({file, "--dry-run", "--json"}).out);
  const HeldImport held(database_, plan["files"][0]["writer_id"],
                        [&] { return cli::StartProgram({"import", file}, Environment()); });
  ASSERT_GT(held.pid(), 0);
  EXPECT_EQ(held.Ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                     "WHERE datname = current_database() AND wait_event = 'transactionid'"),
            "t");
  held.LetGo();
  int status = -1;
  EXPECT_EQ(waitpid(held.pid(), &status, 0), held.pid());
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Count(), "35000");
  EXPECT_EQ(database_.Value("SELECT spans_persisted FROM trace_writers"), "35000");
}

TEST_F(ImportProgram, WhatIsMalformedIsRefusedTwentyTimesByPlaceThenCounted) {
  std::string bad = "[";
  for (int i = 0; i < 30; ++i) bad += "{\"id\": \"1\"},\n";
  const std::string some = File("bad.json", bad + ZipkinSpans(2).substr(1));
  const std::string broken = File("broken.json", ZipkinSpans(2) + "\n[{\"traceId\" 1}]");
  const std::string missing = folder_ + "/missing";
  const std::string what = File("what.txt", "hello\n");
  const Outcome outcome = Import({some, missing, what, broken});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(Contains(outcome.err, "bad.json:1:2: refused: no trace id")) << outcome.err;
  EXPECT_TRUE(Contains(outcome.err, "bad.json:20:1: refused: no trace id")) << outcome.err;
  EXPECT_FALSE(Contains(outcome.err, "bad.json:21:1")) << outcome.err;
  EXPECT_TRUE(Contains(outcome.err, "bad.json: and 10 more refused")) << outcome.err;
  EXPECT_TRUE(Contains(outcome.err, "missing: it cannot be opened: No such file")) << outcome.err;
  EXPECT_TRUE(Contains(outcome.err, "what.txt: it is none of")) << outcome.err;
  EXPECT_TRUE(Contains(outcome.err, "broken.json:3:14: syntax error")) << outcome.err;
  EXPECT_TRUE(Contains(outcome.out, "bad.json (zipkin): 2 spans imported, 30 refused"));
  EXPECT_TRUE(Contains(outcome.out, "broken.json (zipkin): 2 spans imported, not read to its end"))
      << outcome.out;
  EXPECT_TRUE(Contains(outcome.out, "4 files: 4 spans imported, 30 refused")) << outcome.out;
  EXPECT_EQ(Count(), "4");
}

TEST_F(ImportProgram, ARowThatTheServerRejectsIsSaidAndTheRestStored) {
  database_.Run("ALTER TABLE trace_spans ADD CONSTRAINT short CHECK (operation <> 'call')");
  const Outcome outcome = Import({File("t.json", kOtlp)});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(Contains(outcome.err, "1 span lost")) << outcome.err;
  EXPECT_TRUE(Contains(outcome.out, "1 span imported, 1 rejected by the server")) << outcome.out;
  EXPECT_EQ(Count(), "1");
  EXPECT_EQ(database_.Value("SELECT drops FROM trace_writers"), R"({"rejected": 1})");
}

TEST_F(ImportProgram, WithoutDatabaseOrSchemaItSaysWhatToDo) {
  const std::string file = File("t.json", kOtlp);
  const test::TestDatabase empty(test::TestDatabase::Schema::kEmpty);
  Outcome outcome = cli::RunProgram({"import", file}, {"DATABASE_URL=" + empty.conninfo()});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_TRUE(Contains(outcome.err, "run: spanring migrate")) << outcome.err;
  outcome = cli::RunProgram({"import", "--dry-run", file}, {"DATABASE_URL=host=/nonexistent"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(Contains(outcome.out, "2 spans could be imported")) << outcome.out;
  outcome = cli::RunProgram({"import", file}, {"DATABASE_URL=host=/nonexistent"});
  EXPECT_EQ(outcome.exit_code, 3);
}

TEST_F(ImportProgram, AWriterWithoutOtherRightsMayImport) {
  const std::string role = "import_test_" + database_.name();
  database_.Run("CREATE ROLE \"" + role + "\" LOGIN; GRANT spanring_writer TO \"" + role + "\"");
  const Outcome outcome =
      cli::RunProgram({"import", File("t.json", kOtlp)},
                      {"DATABASE_URL=" + database_.conninfo(), "PGOPTIONS=-c role=" + role});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(Count(), "2");
  database_.Run("DROP ROLE \"" + role + "\"");
}

TEST_F(ImportProgram, TheFormatMayBeForcedAndHelpHasExamples) {
  const std::string file = File("empty.json", "{}");
  EXPECT_EQ(Import({file}).exit_code, 1);
  EXPECT_EQ(Import({"--format", "otlp", file}).exit_code, 0);
  EXPECT_EQ(Import({"--format", "xml", file}).exit_code, 2);
  EXPECT_EQ(Import({}).exit_code, 2);
  EXPECT_TRUE(Contains(Import({"--help"}).out, "spanring import --dry-run"));
}

TEST_F(ImportProgram, MemoryDoesNotGrowWithTheFile) {
  constexpr int kSpans = 250'000;
  const std::string zipkin = folder_ + "/z";
  const std::string zipped = folder_ + "/z.gz";
  const std::string otlp = folder_ + "/o";
  {
    // Piece by piece: a child's high-water mark begins with its parent's.
    std::ofstream spans(zipkin);
    std::ofstream one_list(otlp);
    gzFile packed = gzopen(zipped.c_str(), "wb1");
    const auto put = [&](const std::string& text) {
      spans << text;
      gzwrite(packed, text.data(), static_cast<unsigned>(text.size()));
    };
    put("[");
    one_list << R"({"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [)";
    for (int i = 1; i <= kSpans; ++i) {
      const std::string one = ZipkinSpans(1);
      put(absl::StrCat(i > 1 ? ",\n" : "", one.substr(1, one.size() - 2)));
      one_list << (i > 1 ? "," : "") << R"({"traceId": "1", "spanId": ")" << i
               << R"(", "name": "step", "startTimeUnixNano": "5", "endTimeUnixNano": "6",)"
               << R"("attributes": [{"key": "a", "value": {"stringValue": "b"}}]})";
    }
    put("]");
    one_list << "]}]}]}";
    gzclose(packed);
  }
  EXPECT_GT(std::filesystem::file_size(zipkin) + std::filesystem::file_size(otlp), 60'000'000U);
  for (const std::string& file : {zipkin, zipped, otlp}) {
    const Outcome outcome = Import({"--dry-run", file});
    EXPECT_TRUE(Contains(outcome.out, "250,000 spans")) << outcome.out << outcome.err;
    EXPECT_LT(outcome.most_memory_kib, 48 * 1024);
  }
}

}  // namespace
}  // namespace spanring::importer
