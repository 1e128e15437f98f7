// What `spanring export` writes, `spanring import` reads into another database as the same spans.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/program.h"
#include "support/database.h"

namespace spanring::importer {
namespace {

using cli::Outcome;
using nlohmann::json;
using Rows = std::vector<std::vector<std::string>>;

// Two traces of execution 42: each row a way in which a format could lose something.
constexpr char kSpans[] = R"sql(
INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation, started_at,
    completed_at, duration_ns, duration_ms, status, execution_id, job_id, model_id, region,
    error_type, error_message, metadata)
SELECT
    ('0192f0c1-7d3e-7a2b-8c4d-00000000000' || trace)::uuid,
    lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(parent), 32, '0')::uuid, service, operation,
    at + n * interval '1 ms', at + n * interval '1 ms' + ns / 1000 * interval '1 us', ns,
    ns / 1000000, status, execution, job, model, region, type, message, metadata::jsonb
FROM (SELECT timestamptz '2026-11-24 08:00:00.000001+00' AS at) AS clock, (VALUES
    (1, 1, NULL, 'runner', 'question', 900000000, 'completed', 42, 'job-7', 'llama', 'eu', NULL, NULL, NULL),
    (1, 2, 1, 'runner', 'call', 500000123, 'timeout', 42, 'job-7', NULL, NULL, 'deadline', E'no answer,\n"none"', '{"attempt": 1, "span.kind": "client"}'),
    (1, 3, 2, 'router', 'ask', 400000000, 'failed', 42, NULL, NULL, NULL, 'ECONNREFUSED', 'refused', '{"error.type": "ECONNREFUSED", "error": "it was refused"}'),
    (1, 4, 2, 'router', 'retried', 1000, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '{"error.type": "timeout", "exception.type": "x", "spanring.job_id": "mine"}'),
    (1, 5, 1, 'runner', 'open', NULL, 'started', 42, NULL, NULL, NULL, NULL, NULL, '{"a": "b"}'),
    (1, 6, 1, 'runner', 'crashed', NULL, 'failed', 42, NULL, NULL, NULL, 'process_crash', NULL, NULL),
    (1, 7, 1, 'runner', 'unseen', NULL, 'completed', 42, NULL, NULL, NULL, NULL, NULL, NULL),
    (1, 8, 1, 'modal', 'names', 0, 'completed', 42, 'job-7', 'llama', 'eu', NULL, NULL, '{"job_id": "another", "region": null, "model_id": 7, "error": false}'),
    (1, 9, 1, 'modal', 'nested', 999, 'completed', 42, NULL, NULL, NULL, NULL, NULL, '{"a": [1, null, {"b": [true, 2.5, "x"]}], "n": null, "big": 9007199254740993, "f": -0.125, "t": "Zürich 💡 <b>\"\\ \t"}'),
    (1, 10, 1, 'modal', 'events', 5000000, 'failed', NULL, NULL, NULL, NULL, NULL, 'boom', '{"events": [{"name": "exception", "time_unix_nano": 1795507200001234000, "attributes": {"exception.type": "E", "exception.message": "boom"}}, {"name": "retry", "time_unix_nano": 1795507200001235000}]}'),
    (1, 11, 1, 'modal', 'odd events', 5000000, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '{"events": [{"name": "error", "time_unix_nano": 1795507200001234567, "attributes": {"message": "m", "event": "e", "x": [1]}}, {"time_unix_nano": 1.5}, 7, "seven"]}'),
    (1, 12, 1, 'modal', 'links', 5000000, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '{"links": [{"trace_id": "0192f0c17d3e7a2b8c4d000000000001", "span_id": "0000000000000001", "attributes": {"why": "batch"}}]}'),
    (1, 13, 1, 'modal', 'odd links', 5000000, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '{"links": [{"trace_id": "1", "span_id": "2", "ref_type": "FOLLOWS_FROM"}, 5]}'),
    (1, 14, 1, 'web', 'resource', 5000000, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '{"resource": {"host.name": "h1", "pid": 7}, "scope": {"name": "lib", "version": "1", "x": [2]}, "span.kind": "server"}'),
    (1, 15, 1, 'web', 'odd resource', 5000000, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '{"resource": {"region": "us", "service.name": "other", "list": [1]}, "scope": "s", "span.kind": "CLIENT"}'),
    (1, 16, 1, 'web', 'empty', 5000000, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '{"resource": {}, "": 1, "events": [], "links": []}'),
    (1, 17, 1, 'web', 'array', 5000000, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '[1, "two"]'),
    (1, 18, 1, 'web', 'none', 5000000, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '{}'),
    (1, 19, 99, 'web', 'orphan', 5000000, 'completed', 42, NULL, NULL, NULL, NULL, NULL, '{"spanring.status": "failed", "spanring.added": "a", "a": 1}'),
    (2, 20, NULL, 'batch', 'root that follows', 5000000, 'completed', 42, NULL, NULL, NULL, NULL, NULL, '{"links": [{"trace_id": "0192f0c17d3e7a2b8c4d000000000002", "span_id": "0000000000000015"}]}'),
    (2, 21, 20, 'batch', E'comma, "quote"\nline', 5000000, 'completed', 42, NULL, NULL, NULL, NULL, NULL, '{"huge": 123456789012345678901234567890, "precise": 0.1234567890123456789}'),
    (2, 22, 20, 'batch', 'failed without a word', 5000000, 'failed', 42, NULL, NULL, NULL, NULL, NULL, '{"jaeger.warnings": ["w"]}')
) AS spans (trace, n, parent, service, operation, ns, status, execution, job, model, region, type,
    message, metadata);
-- As others have ids: a whole UUID.
INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation, started_at,
    completed_at, duration_ns, duration_ms, status)
VALUES ('0192f0c1-7d3e-7a2b-8c4d-000000000002', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    lpad('14', 32, '0')::uuid, 'batch', 'uuid', '2026-11-24 08:00:01+00', '2026-11-24 08:00:02+00',
    1000000000, 1000, 'completed');
SELECT trace_fold_day(date '2026-11-24');
)sql";

class RoundTrip : public testing::Test {
 protected:
  RoundTrip() {
    std::string folder = (std::filesystem::temp_directory_path() / "spanring-exp-XXXXXX").string();
    if (mkdtemp(folder.data()) != nullptr) folder_ = folder;
    from_.Run(kSpans);
  }
  ~RoundTrip() override { std::filesystem::remove_all(folder_); }

  static Outcome Run(const test::TestDatabase& database, std::vector<std::string> arguments) {
    return cli::RunProgram(arguments, {"DATABASE_URL=" + database.conninfo()});
  }
  Outcome Export(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "export");
    return Run(from_, arguments);
  }
  // A duration that is no multiple of the format's resolution is cut to it.
  static Rows SpansIn(const test::TestDatabase& database, std::int64_t resolution_ns) {
    return database.Rows(absl::StrCat(
        "SELECT operation, trace_id, span_id, parent_span_id, service, "
        "started_at AT TIME ZONE 'UTC', completed_at AT TIME ZONE 'UTC', duration_ns / ",
        resolution_ns,
        ", status, execution_id, job_id, model_id, region, error_type, error_message, metadata "
        "FROM trace_spans ORDER BY trace_id, span_id"));
  }

  test::TestDatabase from_;
  std::string folder_;
};

TEST_F(RoundTrip, EachFormatGivesTheSameSpans) {
  for (const auto& [format, resolution_ns] :
       {std::pair("jaeger", 1000), std::pair("otlp", 1), std::pair("csv", 1)}) {
    const std::string file = absl::StrCat(folder_, "/", format);
    const Outcome exported = Export({"42", "--format", format, "-o", file});
    ASSERT_EQ(exported.exit_code, 0) << exported.err;
    const test::TestDatabase to;
    const Outcome imported = Run(to, {"import", file});
    EXPECT_EQ(imported.exit_code, 0) << imported.err;
    EXPECT_NE(imported.out.find(absl::StrCat("(", format, "): 23 spans imported")),
              std::string::npos)
        << "the format is not told from its content: " << imported.out;
    const Rows want = SpansIn(from_, resolution_ns);
    const Rows got = SpansIn(to, resolution_ns);
    ASSERT_EQ(got.size(), want.size()) << format;
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_EQ(got[i], want[i]) << format;
    // And the answers are the same, since they come from the same spans.
    const std::string tree =
        "SELECT json_agg(json_build_array(row_order, depth, span_id, status) ORDER BY row_order) "
        "FROM trace_tree(42)";
    EXPECT_EQ(to.Value(tree), from_.Value(tree)) << format;
    // Once more from there gives the same file: nothing is added each time.
    const std::string again = absl::StrCat(folder_, "/again-", format);
    ASSERT_EQ(Run(to, {"export", "42", "--format", format, "-o", again}).exit_code, 0);
    if (format != std::string("jaeger")) {  // Which tells how long what is open has been.
      EXPECT_EQ(Run(to, {"import", again}).out.find("already imported: 23"),
                again.size() + absl::StrCat(" (", format, "): ").size())
          << format;
    }
  }
}

TEST_F(RoundTrip, OtlpIsAsItsSpecificationHasIt) {
  const Outcome outcome = Export({"42", "--format", "otlp"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::size_t spans = 0;
  const json document = json::parse(outcome.out);
  for (const json& resource : document["resourceSpans"]) {
    const json& attributes = resource["resource"]["attributes"];
    EXPECT_TRUE(std::any_of(attributes.begin(), attributes.end(), [](const json& attribute) {
      return attribute["key"] == "service.name" && attribute["value"]["stringValue"].is_string();
    }));
    for (const json& scope : resource["scopeSpans"]) {
      for (const json& span : scope["spans"]) {
        ++spans;
        EXPECT_EQ(span["traceId"].get<std::string>().size(), 32U);
        EXPECT_TRUE(span["startTimeUnixNano"].is_string());
        if (span["name"] == "call") {
          EXPECT_EQ(span["spanId"], "0000000000000002");
          EXPECT_EQ(span["parentSpanId"], "0000000000000001");
          EXPECT_EQ(span["kind"], 3);
          EXPECT_EQ(span["startTimeUnixNano"], "1795507200002001000");
          EXPECT_EQ(span["endTimeUnixNano"], "1795507200502001123");
          EXPECT_EQ(span["status"]["code"], 2);
          EXPECT_EQ(span["status"]["message"], "no answer,\n\"none\"");
        }
        if (span["name"] == "open") {
          EXPECT_FALSE(span.contains("endTimeUnixNano"));
        }
        if (span["name"] == "links") {
          EXPECT_EQ(span["links"][0]["spanId"], "0000000000000001");
        }
        if (span["name"] == "events") {
          EXPECT_EQ(span["events"][0]["timeUnixNano"], "1795507200001234000");
        }
      }
    }
  }
  EXPECT_EQ(spans, 23U);
}

// Anybody may write these attributes: what makes no sense stays an attribute.
TEST_F(RoundTrip, OwnAttributesOfOthersAreNotBelieved) {
  const std::string file = folder_ + "/own.json";
  std::ofstream(file) << R"({"spans": [
    {"traceID": "1", "spanID": "1", "startTime": 1, "duration": 2, "processID": "p", "tags": [
      {"key": "spanring.status", "value": "banana"}, {"key": "job_id", "value": "j"}]},
    {"traceID": "1", "spanID": "2", "startTime": 2, "duration": 2, "processID": "p", "tags": [
      {"key": "spanring.status", "value": "failed"}, {"key": "spanring.metadata", "value": "{no"},
      {"key": "spanring.added", "value": "x,job_id"}, {"key": "x", "value": "1"},
      {"key": "job_id", "value": "j"}, {"key": "region", "value": "eu"}]}],
    "processes": {"p": {"serviceName": "s", "tags": []}}})";
  const test::TestDatabase to;
  const Outcome outcome = Run(to, {"import", file});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(to.Rows("SELECT status, job_id, region, metadata FROM trace_spans ORDER BY started_at"),
            (Rows{{"completed", "j", "<null>", R"({"spanring.status": "banana"})"},
                  {"failed", "j", "<null>",
                   R"({"x": "1", "region": "eu", "spanring.metadata": "{no"})"}}));
}

TEST_F(RoundTrip, ATraceAloneOrItsExecution) {
  const std::string trace = "0192f0c17d3e7a2b8c4d000000000002";
  const json one = json::parse(Export({"--trace", trace}).out);
  ASSERT_EQ(one["data"].size(), 1U);
  EXPECT_EQ(one["data"][0]["traceID"], trace);
  EXPECT_EQ(json::parse(Export({"42"}).out)["data"].size(), 2U);
}

}  // namespace
}  // namespace spanring::importer
