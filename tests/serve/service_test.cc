// The routes against a database of their own: what they answer, and to whom.
#include "serve/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "fault/faulty_proxy.h"
#include "serve_database.h"

namespace spanring::serve {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class ServiceTest : public ServeTest {};

TEST_F(ServiceTest, ListsExecutionsByFilterAndPage) {
  const json all = Json("/api/v1/executions");
  ASSERT_EQ(all["executions"].size(), 2U);
  EXPECT_EQ(all["executions"][0]["execution_id"], 40);
  EXPECT_EQ(all["has_more"], false);
  EXPECT_EQ(Json("/api/v1/executions?status=failed,timeout")["executions"][0]["execution_id"], 20);
  EXPECT_EQ(Json("/api/v1/executions?service=modal")["executions"].size(), 1U);
  EXPECT_EQ(Json("/api/v1/executions?min_duration_ms=5000")["executions"].size(), 1U);
  EXPECT_EQ(Json("/api/v1/executions?job=none")["executions"].size(), 0U);
  EXPECT_EQ(Json("/api/v1/executions?from=now&to=tomorrow")["executions"].size(), 0U);
  const json told = Json("/api/v1/executions?causes=true")["executions"];
  ASSERT_EQ(told.size(), 2U);
  for (const json& row : told) {
    EXPECT_EQ(row["cause"].is_object(), row["status"] != "completed") << row;
  }
  const json first = Json("/api/v1/executions?limit=1");
  EXPECT_EQ(first["has_more"], true);
  const std::string before = first["executions"][0]["started_at"];
  std::string escaped;
  for (const char c : before) escaped += c == '+' ? std::string("%2B") : std::string(1, c);
  const json second = Json("/api/v1/executions?limit=1&before=" + escaped + "&before_id=40");
  ASSERT_EQ(second["executions"].size(), 1U);
  EXPECT_EQ(second["executions"][0]["execution_id"], 20);
}

TEST_F(ServiceTest, TellsAnExecution) {
  EXPECT_EQ(Json("/api/v1/executions/20")["status"], "failed");
  const json trace = Json("/api/v1/executions/20/trace");
  ASSERT_EQ(trace["spans"].size(), 3U);
  EXPECT_EQ(trace["spans"][2]["error_message"], "CUDA <b>out</b> of memory");
  ASSERT_EQ(trace["critical_paths"].size(), 1U);
  EXPECT_EQ(trace["critical_paths"][0]["is_main_root"], true);
  EXPECT_GE(trace["critical_paths"][0]["segments"].size(), 3U);
  EXPECT_EQ(trace["gaps"][0], json({{"kind", "lead"},
                                    {"from_row", 1},
                                    {"to_row", 2},
                                    {"parent_row", 1},
                                    {"offset_ns", 0},
                                    {"gap_ns", 1000000}}));
  EXPECT_EQ(trace["spans_dropped"], 0);
  const json diagnosis = Json("/api/v1/executions/20/diagnosis");
  EXPECT_EQ(diagnosis["operations"].size(), 3U);
  EXPECT_GE(diagnosis["anomalies"], 1);
  const json cause = Json("/api/v1/executions/20/root-cause");
  EXPECT_EQ(cause["causes"][0]["root_cause_type"], "MODAL_EXECUTION_FAILURE");
  EXPECT_EQ(Json("/api/v1/executions/40/root-cause")["causes"].size(), 0U) << "it went well";
  EXPECT_EQ(Json("/api/v1/executions/20/network")["execution_id"], 20);
  EXPECT_TRUE(Json("/api/v1/executions/20/similar?limit=3").contains("executions"));
  const json comparison = Json("/api/v1/executions/20/compare/40");
  EXPECT_EQ(comparison["a"]["execution_id"], 20);
  EXPECT_EQ(comparison["spans"].size(), 3U);
}

TEST_F(ServiceTest, ATraceSaysOnceWhatItsSpansShareAndNothingOfWhatIsNot) {
  const json trace = Json("/api/v1/traces/00000000-0000-7000-8000-000000000020");
  EXPECT_EQ(trace["common"], json({{"trace_id", "00000000-0000-7000-8000-000000000020"},
                                   {"job_id", "job-7"},
                                   {"execution_id", 20},
                                   {"model_id", "m"},
                                   {"region", "eu"}}));
  json root = trace["spans"][0];
  EXPECT_TRUE(root.contains("started_at"));
  EXPECT_TRUE(root.contains("completed_at"));
  root.erase("started_at");
  root.erase("completed_at");
  EXPECT_EQ(root, json({{"row_order", 1},
                        {"depth", 0},
                        {"last_row", 3},
                        {"span_id", "00000000-0000-0000-0000-000000000021"},
                        {"service", "runner"},
                        {"operation", "execute"},
                        {"status", "failed"},
                        {"offset_ns", 0},
                        {"duration_ns", 9000000000},
                        {"self_time_ns", 100000000}}));
  EXPECT_TRUE(trace["spans"][1]["metadata"].contains("none")) << "attributes are as recorded";
}

// Their spans have nothing in common but that none says which region.
TEST_F(ServiceTest, WhatTwoTracesDoNotShareStandsInEachSpan) {
  database_->Run(
      "INSERT INTO trace_spans (started_at, completed_at, execution_id, trace_id, span_id, service,"
      " operation, status, job_id) SELECT now() - n * interval '1 s', now(), 60,"
      " ('00000000-0000-7000-8000-00000000006' || n)::uuid,"
      " ('00000000-0000-0000-0000-00000000006' || n)::uuid, 'a', 'b', 'completed',"
      " CASE n WHEN 1 THEN 'job' END FROM generate_series(1, 2) AS n");
  const json trace = Json("/api/v1/executions/60/trace");
  database_->Run("DELETE FROM trace_spans WHERE execution_id = 60");
  EXPECT_EQ(trace["common"], json({{"execution_id", 60}}));
  ASSERT_EQ(trace["spans"].size(), 2U);
  EXPECT_EQ(trace["spans"][0]["trace_id"], "00000000-0000-7000-8000-000000000062");
  EXPECT_FALSE(trace["spans"][0].contains("job_id"));
  EXPECT_EQ(trace["spans"][1]["job_id"], "job");
  EXPECT_EQ(trace["critical_paths"].size(), 2U);
}

// Its own rows say the same as the functions that ask anew.
TEST_F(ServiceTest, ATracesGapsPathsAndShiftsAreThoseOfTheFunctions) {
  database_->Run(
      "INSERT INTO trace_spans (started_at, completed_at, duration_ns, execution_id, trace_id,"
      " span_id, parent_span_id, service, operation, status)"
      " SELECT '2026-01-01'::timestamptz + o * interval '1 ms',"
      " '2026-01-01'::timestamptz + (o + d) * interval '1 ms', d * 1000000::bigint, 80,"
      " '00000000-0000-7000-8000-000000000080', ('00000000-0000-0000-0000-00000000008' || i)::uuid,"
      " ('00000000-0000-0000-0000-00000000008' || p)::uuid, s, 'o' || i, 'completed'"
      " FROM (VALUES (1, NULL, 0, 1000, 'a'), (2, 1, -50, 200, 'b'), (3, 2, -40, 50, 'b'),"
      " (4, 1, 400, 300, 'c'), (5, 1, 650, 500, 'a')) AS spans (i, p, o, d, s)");
  const json trace = Json("/api/v1/executions/80/trace");
  const auto told = [&](const std::string& sql) {
    return json::parse(
        database_->Value("SELECT json_agg(row_to_json(answer)) FROM (" + sql + ") AS answer"));
  };
  const json gaps =
      told("SELECT kind, from_row, to_row, parent_row, offset_ns, gap_ns FROM trace_gaps(80)");
  const json path = told("SELECT row_order, offset_ns, length_ns FROM trace_critical_path(80)");
  const json shifts = told("SELECT shift_ns, reason FROM trace_clock_skew(80) ORDER BY row_order");
  database_->Run("DELETE FROM trace_spans WHERE execution_id = 80");
  EXPECT_EQ(trace["gaps"], gaps);
  EXPECT_EQ(trace["critical_paths"][0]["segments"], path);
  ASSERT_EQ(trace["spans"].size(), shifts.size());
  int moved = 0;
  for (std::size_t i = 0; i < shifts.size(); ++i) {
    EXPECT_EQ(trace["spans"][i].value("shift_ns", 0), shifts[i]["shift_ns"]);
    EXPECT_EQ(trace["spans"][i].value("shift_reason", json()), shifts[i]["reason"]);
    moved += shifts[i]["shift_ns"] != 0 ? 1 : 0;
  }
  EXPECT_EQ(moved, 2);
  // The second span was moved to the middle of the first, which begins 50 ms after it.
  EXPECT_EQ(trace["adjusted"]["gaps"][0], json({{"kind", "lead"},
                                                {"from_row", 1},
                                                {"to_row", 2},
                                                {"parent_row", 1},
                                                {"offset_ns", 50000000},
                                                {"gap_ns", 400000000}}));
}

TEST_F(ServiceTest, TellsATraceByAnyFormOfItsId) {
  for (const char* id : {"00000000-0000-7000-8000-000000000020", "00000000000070008000000000000020",
                         "00000000000070008000000000000020"}) {
    EXPECT_EQ(Json(std::string("/api/v1/traces/") + id)["spans"].size(), 3U) << id;
  }
  Json("/api/v1/traces/00000000-0000-7000-8000-000000000099", 404);
  Json("/api/v1/traces/zz", 400);
}

TEST_F(ServiceTest, TellsOperationsAndHealth) {
  const json operations = Json("/api/v1/operations?from=yesterday&to=tomorrow");
  int whole = 0;
  for (const json& row : operations["operations"]) {
    if (!row["starts_at"].is_null() || row["operation"] != "route") continue;
    ++whole;
    EXPECT_EQ(row["spans"], 2);
    EXPECT_EQ(row["failed"], 1);
    EXPECT_NEAR(row["p50_ms"].get<double>(), 800, 8);
    EXPECT_NEAR(row["p99_ms"].get<double>(), 8900, 89);
    EXPECT_EQ(row["max_ms"], 8900);
  }
  EXPECT_EQ(whole, 1);
  EXPECT_EQ(Json("/api/v1/health")["health"]["total_spans"], 5);
}

TEST_F(ServiceTest, RefusesWhatMakesNoSense) {
  for (const char* target :
       {"/api/v1/executions/x", "/api/v1/executions/99999999999999999999",
        "/api/v1/executions?limit=0", "/api/v1/executions?causes=1",
        "/api/v1/executions?limit=1001", "/api/v1/executions?sttus=x",
        "/api/v1/executions?status=faild", "/api/v1/executions?status=failed,,timeout",
        "/api/v1/executions?from=soon", "/api/v1/executions?before=now",
        "/api/v1/executions/20?x=1", "/api/v1/executions/20/similar?limit=-1", "/api/v1/operations",
        "/api/v1/operations?from=tomorrow&to=yesterday", "/api/v1/executions/20/compare/x",
        "/api/v1/health?x"}) {
    EXPECT_THAT(Json(target, 400)["error"]["message"].get<std::string>(),
                Not(HasSubstr("password")))
        << target;
  }
  for (const char* target :
       {"/api/v1/executions/77", "/api/v1/executions/77/trace", "/api/v1/executions/77/diagnosis",
        "/api/v1/executions/20/nothing", "/api/v1/nothing", "/api/v1/"}) {
    Json(target, 404);
  }
  EXPECT_EQ(Json("/api/v1/executions/77/root-cause")["causes"][0]["root_cause_type"], "UNKNOWN");
  EXPECT_EQ(Get("/../etc/passwd").status, 404);
}

TEST_F(ServiceTest, ParametersAreBound) {
  EXPECT_EQ(Json("/api/v1/executions?job=%27%20OR%20true--")["executions"].size(), 0U);
  EXPECT_EQ(Json("/api/services/x%27;DROP%20TABLE%20trace_spans;--/operations")["data"].size(), 0U);
}

TEST_F(ServiceTest, AnUnchangedAnswerIsNotSentAgain) {
  const http::Response first = Get("/api/v1/executions/20");
  std::string tag;
  for (const auto& [name, value] : first.headers) {
    if (name == "ETag") tag = value;
  }
  // The same for the compressed answer, hence a weak one.
  ASSERT_TRUE(tag.starts_with("W/\"")) << tag;
  for (const std::string& known : {tag, tag.substr(2), "\"another\", " + tag, std::string("*")}) {
    const http::Response second =
        Get("/api/v1/executions/20", {{"host", "localhost"}, {"if-none-match", known}});
    EXPECT_EQ(second.status, 304) << known;
    EXPECT_EQ(second.body, "");
  }
  EXPECT_EQ(Get("/api/v1/executions/40", {{"host", "localhost"}, {"if-none-match", tag}}).status,
            200);
}

TEST_F(ServiceTest, AnswersOnlyToNamesOfThisMachine) {
  for (const char* host :
       {"localhost:8126", "LOCALHOST", "127.0.0.1", "[::1]:8126", "spans.example"}) {
    EXPECT_EQ(Get("/api/v1/executions", {{"host", host}}).status, 200) << host;
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "",
                           "localhost@evil.example", "[::1].evil.example"}) {
    EXPECT_EQ(Get("/api/v1/executions", {{"host", host}}).status, 421) << host;
  }
  EXPECT_EQ(Get("/api/v1/executions", {}).status, 421);
}

TEST_F(ServiceTest, AsksForItsToken) {
  options_.token = "a-long-enough-token";
  Service guarded(&reader_, options_);
  http::Request request;
  request.method = "GET";
  ASSERT_TRUE(http::ParseTarget("/api/v1/executions", &request));
  for (const char* given :
       {"", "Bearer", "Bearer ", "Bearer a-long-enough-tokeN", "Bearer a-long-enough-token2",
        "Basic a-long-enough-token", "a-long-enough-token"}) {
    request.headers = {{"authorization", given}};
    EXPECT_EQ(guarded.Answer(request).status, 401) << given;
  }
  for (const char* given : {"Bearer a-long-enough-token", "bearer a-long-enough-token"}) {
    request.headers = {{"authorization", given}, {"host", "anywhere"}};
    EXPECT_EQ(guarded.Answer(request).status, 200) << given;
  }
  ASSERT_TRUE(http::ParseTarget("/healthz", &request));
  request.headers = {};
  EXPECT_EQ(guarded.Answer(request).status, 200);
}

TEST_F(ServiceTest, OnlyReads) {
  http::Request request;
  request.method = "DELETE";
  request.headers = {{"host", "localhost"}};
  ASSERT_TRUE(http::ParseTarget("/api/v1/executions/20", &request));
  EXPECT_EQ(service_.Answer(request).status, 405);
  // Whatever the login's own rights.
  answers::Reader owner({.conninfo = database_->conninfo()});
  EXPECT_THAT(std::string(owner.Ask("DELETE FROM trace_spans").status().message()),
              HasSubstr("[25006]"));
  // As spanring_reader, whoever logged in.
  EXPECT_THAT(std::string(reader_.Ask("SELECT pg_read_file('/etc/passwd')").status().message()),
              HasSubstr("[42501]"));
}

TEST_F(ServiceTest, AStatementTakesOnlySoLong) {
  answers::Reader hasty(
      {.conninfo = database_->conninfo(), .statement_time = std::chrono::milliseconds(50)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(hasty.Ask("SELECT pg_sleep(10)").status()));
  EXPECT_TRUE(hasty.Ask("SELECT 1").ok()) << "the connection is used again";
  EXPECT_EQ(hasty.failed(), 1U);
}

// Where a server is stopped or a network drops packets, no time limit of the server's is heard of.
TEST_F(ServiceTest, ADatabaseThatFallsSilentHoldsNobodyUp) {
  const std::string folder = PQhost(database_->connection());
  if (!folder.starts_with('/')) GTEST_SKIP() << "the server has no socket here";
  test::FaultyProxy proxy(folder + "/.s.PGSQL." + PQport(database_->connection()));
  answers::Reader reader(
      {.conninfo = database_->conninfo() + " " + proxy.conninfo() + " connect_timeout=2",
       .statement_time = std::chrono::milliseconds(300),
       .answer_time = std::chrono::milliseconds(300)});
  const auto began = std::chrono::steady_clock::now();
  proxy.WhenServerSays("silence", test::FaultyProxy::Fault::kSwallow, 1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(reader.Ask("SELECT 'sil' || 'ence'").status()));
  EXPECT_TRUE(reader.Ask("SELECT 1").ok()) << "on another connection";
  proxy.SetMode(test::FaultyProxy::Mode::kSwallow);
  EXPECT_TRUE(absl::IsUnavailable(reader.Ask("SELECT 1").status()));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(12));
  proxy.SetMode(test::FaultyProxy::Mode::kPass);
  EXPECT_TRUE(reader.Ask("SELECT 1").ok());
}

TEST_F(ServiceTest, ConnectsAgainWhenAConnectionDied) {
  ASSERT_TRUE(reader_.Ask("SELECT 1").ok());
  database_->Run(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE datname = current_database() AND pid <> pg_backend_pid()");
  EXPECT_EQ(Get("/api/v1/executions/20").status, 200);
}

TEST_F(ServiceTest, SaysThatThereIsNoDatabase) {
  answers::Reader nowhere({.conninfo = "host=/nonexistent password=hidden"});
  Service service(&nowhere, options_);
  http::Request request;
  request.method = "GET";
  request.headers = {{"host", "localhost"}};
  ASSERT_TRUE(http::ParseTarget("/api/v1/executions", &request));
  const http::Response response = service.Answer(request);
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.body, Not(HasSubstr("hidden")));
  ASSERT_TRUE(http::ParseTarget("/readyz", &request));
  EXPECT_EQ(service.Answer(request).status, 503);
  ASSERT_TRUE(http::ParseTarget("/metrics", &request));
  EXPECT_THAT(service.Answer(request).body, HasSubstr("spanring_database_up 0\n"));
}

TEST_F(ServiceTest, MetricsOfServerAndWriters) {
  const http::Response response = Get("/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr("spanring_database_up 1\n"));
  EXPECT_THAT(response.body, HasSubstr("spanring_spans_stored 5\n"));
  EXPECT_THAT(response.body, HasSubstr("spanring_spans_sampled_out 0\n"));
  EXPECT_THAT(response.body, HasSubstr("# TYPE spanring_http_requests_total counter\n"));
}

TEST_F(ServiceTest, JaegerServicesAndOperations) {
  EXPECT_EQ(Json("/api/services")["data"], json({"modal", "router", "runner"}));
  EXPECT_EQ(Json("/api/services/router/operations")["data"], json({"route"}));
  EXPECT_EQ(Json("/api/operations?service=modal")["data"][0]["name"], "infer");
  EXPECT_EQ(Json("/api/v3/services")["services"], json({"modal", "router", "runner"}));
  EXPECT_EQ(Json("/api/v3/operations?service=modal")["operations"],
            json({{{"name", "infer"}, {"spanKind", ""}}}));
  const json calls = Json("/api/dependencies?lookback=86400000");
  EXPECT_EQ(calls["data"], json({{{"parent", "router"}, {"child", "modal"}, {"callCount", 1}},
                                 {{"parent", "runner"}, {"child", "router"}, {"callCount", 2}}}));
}

TEST_F(ServiceTest, JaegerTrace) {
  const json answer = Json("/api/traces/00000000000070008000000000000020");
  EXPECT_EQ(answer["errors"], nullptr);
  ASSERT_EQ(answer["data"].size(), 1U);
  const json& trace = answer["data"][0];
  EXPECT_EQ(trace["traceID"], "00000000000070008000000000000020");
  ASSERT_EQ(trace["spans"].size(), 3U);
  const json& modal = trace["spans"][2];
  EXPECT_EQ(modal["spanID"], "0000000000000023");
  EXPECT_EQ(modal["duration"], 8000000);
  EXPECT_EQ(modal["references"][0]["spanID"], "0000000000000022");
  EXPECT_EQ(trace["processes"][modal["processID"].get<std::string>()]["serviceName"], "modal");
  EXPECT_EQ(modal["logs"][0]["timestamp"], 1700000000000000);
  EXPECT_EQ(modal["logs"][0]["fields"],
            json({{{"key", "event"}, {"type", "string"}, {"value", "exception"}},
                  {{"key", "exception.type"}, {"type", "string"}, {"value", "CUDAError"}}}));
  json types = json::object();
  for (const json& tag : trace["spans"][1]["tags"])
    types[tag["key"].get<std::string>()] = tag["type"];
  EXPECT_EQ(types["attempt"], "int64");
  EXPECT_EQ(types["ratio"], "float64");
  EXPECT_EQ(types["yes"], "bool");
  EXPECT_EQ(types["deep"], "string");
  EXPECT_EQ(types["error"], "bool");
  EXPECT_EQ(types["execution_id"], "int64");
  EXPECT_FALSE(types.contains("resource"));
  EXPECT_EQ(trace["processes"][trace["spans"][1]["processID"].get<std::string>()]["tags"][0]["key"],
            "host.name");
  const json none = Json("/api/traces/00000000000070008000000000000099", 404);
  EXPECT_EQ(none["errors"][0]["code"], 404);
  EXPECT_EQ(none["data"], nullptr);
}

TEST_F(ServiceTest, JaegerSearch) {
  const auto found = [&](const std::string& query) {
    std::vector<std::string> ids;
    const json answer = Json("/api/traces?" + query);
    for (const json& trace : answer["data"]) {
      ids.push_back(trace["traceID"].get<std::string>().substr(30));
    }
    return ids;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(found("service=router"), (Ids{"40", "20"}));
  EXPECT_EQ(found("service=router&limit=1"), (Ids{"40"}));
  EXPECT_EQ(found("service=router&operation=route&minDuration=1.5s"), (Ids{"20"}));
  EXPECT_EQ(found("service=router&maxDuration=900ms"), (Ids{"40"}));
  EXPECT_EQ(found("service=modal&tags=%7B%22error%22%3A%22true%22%7D"), (Ids{"20"}));
  EXPECT_EQ(found("service=router&tag=attempt:2"), (Ids{"20"}));
  EXPECT_EQ(found("service=router&tag=host.name:h"), (Ids{"20"}));
  EXPECT_EQ(found("service=router&tag=execution_id:40"), (Ids{"40"}));
  EXPECT_EQ(found("service=none"), Ids{});
  EXPECT_EQ(found("service=router&end=1000000&start=1"), Ids{});
  EXPECT_EQ(found("traceID=00000000000070008000000000000040"), (Ids{"40"}));
  const json summaries =
      Json("/api/v3/trace-summaries?query.serviceName=modal&query.searchDepth=5");
  ASSERT_EQ(summaries["summaries"].size(), 1U);
  const json& summary = summaries["summaries"][0];
  EXPECT_EQ(summary["rootServiceName"], "runner");
  EXPECT_EQ(summary["spanCount"], 3);
  EXPECT_EQ(summary["errorSpanCount"], 3);
  EXPECT_EQ(summary["services"][0],
            json({{"name", "modal"}, {"spanCount", 1}, {"errorSpanCount", 1}}));
  for (const char* target :
       {"/api/traces?start=x", "/api/traces?minDuration=fast", "/api/traces?tags=x",
        "/api/traces?limit=0", "/api/operations", "/api/traces?start=2&end=1",
        "/api/dependencies?endTs=x", "/api/traces/x"}) {
    EXPECT_EQ(Json(target, 400)["errors"][0]["code"], 400) << target;
  }
}

// The spans of an answer of v3, by the last two digits of their ids.
json SpansById(const json& answer) {
  json spans = json::object();
  for (const json& resource : answer["result"]["resourceSpans"]) {
    for (const json& scope : resource["scopeSpans"]) {
      for (const json& span : scope["spans"]) {
        spans[span["spanId"].get<std::string>().substr(14)] = span;
      }
    }
  }
  return spans;
}

TEST_F(ServiceTest, JaegerV3TraceIsOtlp) {
  const json answer = Json(
      "/api/v3/traces/00000000000070008000000000000020?startTime=2026-11-24T08:00:00Z"
      "&endTime=2026-11-24T09:00:00.5%2B01:00&rawTraces=true");
  ASSERT_EQ(answer["result"]["resourceSpans"].size(), 3U) << "one for each service";
  EXPECT_EQ(answer["result"]["resourceSpans"][0]["resource"]["attributes"],
            json({{{"key", "service.name"}, {"value", {{"stringValue", "runner"}}}}}));
  const json spans = SpansById(answer);
  ASSERT_EQ(spans.size(), 3U);
  EXPECT_EQ(spans["23"]["traceId"], "00000000000070008000000000000020");
  EXPECT_EQ(spans["23"]["parentSpanId"], "0000000000000022");
  EXPECT_EQ(spans["23"]["name"], "infer");
  EXPECT_EQ(spans["23"]["kind"], 2);
  EXPECT_EQ(spans["23"]["status"], json({{"code", 2}, {"message", "CUDA <b>out</b> of memory"}}));
  EXPECT_EQ(std::stoull(spans["23"]["endTimeUnixNano"].get<std::string>()) -
                std::stoull(spans["23"]["startTimeUnixNano"].get<std::string>()),
            8'000'000'000U);
}

TEST_F(ServiceTest, JaegerV3TraceByAnIdOf16Digits) {
  database_->Run(
      "INSERT INTO trace_spans (started_at, completed_at, duration_ns, duration_ms, execution_id,"
      " trace_id, span_id, service, operation, status) SELECT started_at - interval '1 day',"
      " started_at - interval '1 day', 0, 0, 60, '00000000-0000-0000-8000-000000000060', span_id,"
      " 'old', 'old', 'completed' FROM trace_spans WHERE execution_id = 40 AND parent_span_id IS "
      "NULL");
  EXPECT_EQ(SpansById(Json("/api/v3/traces/8000000000000060")).size(), 1U);
  database_->Run("DELETE FROM trace_spans WHERE execution_id = 60");
}

TEST_F(ServiceTest, JaegerV3Search) {
  const auto found = [&](const std::string& query) {
    std::vector<std::string> ids;
    for (const json& span : SpansById(Json("/api/v3/traces?" + query))) {
      const std::string id = span["traceId"].get<std::string>().substr(30);
      if (ids.empty() || ids.back() != id) ids.push_back(id);
    }
    return ids;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(found("query.serviceName=router"), (Ids{"20", "40"}));
  EXPECT_EQ(found("query.service_name=router&query.search_depth=1"), (Ids{"40"}));
  EXPECT_EQ(found("query.serviceName=router&query.num_traces=1"), (Ids{"40"}));
  EXPECT_EQ(found("query.operationName=route&query.durationMin=1.5s"), (Ids{"20"}));
  EXPECT_EQ(found("query.operation_name=route&query.duration_max=900ms&query.raw_traces=false"),
            (Ids{"40"}));
  EXPECT_EQ(found("query.attributes=%7B%22error.type%22%3A%22CUDAError%22%7D"), (Ids{"20"}));
  EXPECT_EQ(Json("/api/v3/traces?query.serviceName=router")["result"]["resourceSpans"][0]
                                                           ["scopeSpans"][0]["spans"][0]["traceId"],
            "00000000000070008000000000000040")
      << "the newest first";
}

TEST_F(ServiceTest, JaegerV3FailuresAreThoseOfItsGateway) {
  EXPECT_EQ(Json("/api/v3/traces/00000000000070008000000000000099", 404),
            json({{"error", {{"httpCode", 404}, {"message", "trace not found"}}}}));
  for (const char* target :
       {"/api/v3/traces?query.serviceName=none",
        "/api/v3/traces?query.service_name=%27%20OR%20true--",
        "/api/v3/traces?query.start_time_min=2001-01-01T00:00:00Z"
        "&query.start_time_max=2001-01-02T00:00:00Z",
        "/api/v3", "/api/v3/nothing", "/api/v3/traces/00000000000070008000000000000020/x"}) {
    EXPECT_EQ(Json(target, 404)["error"]["httpCode"], 404) << target;
  }
  for (const char* target :
       {"/api/v3/traces/x", "/api/v3/traces/0000000000000020?startTime=x",
        "/api/v3/traces/0000000000000020?end_time=x", "/api/v3/traces/0000000000000020?rawTraces=x",
        "/api/v3/traces?query.startTimeMin=x", "/api/v3/traces?query.start_time_max=x",
        "/api/v3/traces?query.durationMin=fast", "/api/v3/traces?query.searchDepth=0",
        "/api/v3/traces?query.rawTraces=x", "/api/v3/traces?query.attributes=x",
        "/api/v3/traces?query.filter=%7B%7D", "/api/v3/operations",
        "/api/v3/trace-summaries?query.startTimeMin=x"}) {
    const json answer = Json(target, 400);
    EXPECT_EQ(answer["error"]["httpCode"], 400) << target;
    EXPECT_NE(answer["error"]["message"], "") << target;
  }
  EXPECT_THAT(Json("/api/v3/traces?query.num_traces=x", 400)["error"]["message"].get<std::string>(),
              HasSubstr("query.num_traces"));
}

}  // namespace
}  // namespace spanring::serve
