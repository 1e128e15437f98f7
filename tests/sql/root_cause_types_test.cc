#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "sql/executions.h"

namespace spanring::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RootCauseTypes : public ExecutionTest {
 protected:
  static std::string Confidences(std::int64_t execution) {
    return Database().Value(
        "SELECT string_agg(root_cause_type || ' ' || confidence, ', ' ORDER BY rank)"
        " FROM identify_root_cause($1)",
        {std::to_string(execution)});
  }
  // `count` calls of one operation under the root, the first `failures` of them failed.
  static std::vector<Span> Repeated(int count, int failures, double end_s,
                                    const std::string& status) {
    std::vector<Span> spans = {{1, 0, "runner", "execute", 0, end_s, status}};
    for (int i = 0; i < count; ++i) {
      const double start_s = end_s * i / count;
      spans.push_back({i + 2, 1, "store", "get", start_s, start_s + end_s / count,
                       i < failures ? "failed" : "completed"});
    }
    return spans;
  }
};

TEST_F(RootCauseTypes, WhoSpentTheTimeIsToldFromWhoOwnedTheDeadline) {
  Write(1, {{1, 0, "runner", "execute", 0, 60, "timeout"},
            {2, 1, "router", "route", 0, 75},
            {3, 2, "modal", "inference", 1, 74}});
  const std::vector<Cause> causes = Causes(1);
  ASSERT_EQ(causes.size(), 2U);
  EXPECT_EQ(causes[0].type, "SLOW_DEPENDENCY");
  EXPECT_EQ(causes[0].operation, "inference");
  EXPECT_EQ(causes[0].evidence,
            "modal.inference (span 0000000000000003) completed, and spent 73.0 s itself in 1 span "
            "of the 60.0 s after which runner.execute (span 0000000000000001) timed out; "
            "insufficient history: 0 spans of other executions, 5 needed");
  EXPECT_EQ(causes[1].type, "SERVICE_TIMEOUT");
  EXPECT_EQ(causes[1].service, "runner");
}

TEST_F(RootCauseTypes, ADependencyThatIsNoSlowerThanEverIsNotTheCause) {
  WriteHistory(100, 5, "modal", "inference", 70);
  Write(1, {{1, 0, "runner", "execute", 0, 60, "timeout"}, {2, 1, "modal", "inference", 1, 74}});
  Fold();
  EXPECT_EQ(Confidences(1), "SERVICE_TIMEOUT 0.75, SLOW_DEPENDENCY 0.50");
}

TEST_F(RootCauseTypes, HalfOfTheTimeIsNotMostOfIt) {
  Write(1, {{1, 0, "runner", "execute", 0, 60, "timeout"}, {2, 1, "modal", "inference", 0, 30}});
  EXPECT_EQ(Causes(1).size(), 1U);
  Write(2, {{1, 0, "runner", "execute", 0, 60, "timeout"}, {2, 1, "modal", "inference", 0, 30.1}});
  EXPECT_EQ(RootCause(2), "SLOW_DEPENDENCY");
  // The service's own operation is no dependency.
  Write(3, {{1, 0, "runner", "execute", 0, 60, "timeout"}, {2, 1, "runner", "compute", 0, 50}});
  EXPECT_EQ(Confidences(3), "SERVICE_TIMEOUT 0.78");
}

TEST_F(RootCauseTypes, SlowDependencyOfAnExecutionThatWentWell) {
  WriteHistory(100, 5, "modal", "inference", 10);
  Write(1, {{1, 0, "runner", "execute", 0, 50}, {2, 1, "modal", "inference", 1, 49}});
  const Cause cause = Causes(1).at(0);
  EXPECT_EQ(cause.type, "SLOW_DEPENDENCY");
  EXPECT_THAT(cause.evidence, HasSubstr("its longest took 48.0 s, where 5 spans of other executions"
                                        " took 10.0 s on average"));
  Write(2, {{1, 0, "runner", "execute", 0, 31}, {2, 1, "modal", "inference", 1, 30}});
  EXPECT_THAT(Causes(2), IsEmpty()) << "three times the average is normal";
}

TEST_F(RootCauseTypes, TwoFailuresAreRetriesAndMoreAreAStorm) {
  Write(1, Repeated(2, 2, 10, "failed"));
  EXPECT_EQ(Confidences(1), "UNKNOWN 0.30");
  Write(2, Repeated(3, 3, 10, "failed"));
  EXPECT_EQ(Confidences(2), "RETRY_STORM 0.40, UNKNOWN 0.30");
  const Cause cause = Causes(2).at(0);
  EXPECT_EQ(cause.evidence,
            "store.get failed 3 of 3 times under runner.execute (span 0000000000000001)");
  EXPECT_EQ(Database().Value("SELECT cardinality(span_ids) FROM identify_root_cause(2) LIMIT 1"),
            "4");
}

TEST_F(RootCauseTypes, AStormOfAKnownErrorComesBehindIt) {
  std::vector<Span> spans = Repeated(4, 4, 10, "failed");
  for (Span& span : spans) {
    if (span.parent == 1) span.error_type = "ECONNREFUSED";
  }
  Write(1, spans);
  EXPECT_EQ(Confidences(1), "CONNECTION_FAILURE 0.95, RETRY_STORM 0.40");
}

TEST_F(RootCauseTypes, AStormThatWasRecoveredFromGivesWay) {
  Write(1, Repeated(4, 3, 10, "failed"));
  // Retried with success: the runner failed for another reason.
  EXPECT_EQ(RootCause(1), "UNKNOWN");
  EXPECT_EQ(Causes(1).at(0).service, "runner");
}

TEST_F(RootCauseTypes, VeryManyCallsMatterWhereSomethingIsWrong) {
  Write(1, Repeated(60, 0, 100, "completed"));
  EXPECT_THAT(Causes(1), IsEmpty());
  Write(2, Repeated(60, 0, 130, "completed"));
  EXPECT_EQ(RootCause(2), "RETRY_STORM");
  EXPECT_EQ(Causes(2).at(0).evidence,
            "store.get was called 60 times under runner.execute (span 0000000000000001), 130.0 s in"
            " all, of 130.0 s");
  Write(3, Repeated(50, 0, 130, "completed"));
  EXPECT_EQ(RootCause(3), "PERFORMANCE_DEGRADATION");
}

// The open span's own time is not known, and was taken for the longest.
TEST_F(RootCauseTypes, WhatNeverEndedBelowSlowSuccessIsNotWhoSpentTheTime) {
  Write(1, {{1, 0, "runner", "execute", 0, 130},
            {2, 1, "modal", "inference", 1, 129},
            {3, 1, "runner", "audit", 2, kNeverEnded, "started"}});
  const std::vector<Cause> causes = Causes(1);
  ASSERT_EQ(causes.size(), 2U);
  EXPECT_EQ(causes[0].type, "PERFORMANCE_DEGRADATION");
  EXPECT_EQ(causes[0].operation, "inference");
  EXPECT_EQ(causes[1].type, "SERVICE_TIMEOUT");
  EXPECT_EQ(causes[1].operation, "audit");
}

TEST_F(RootCauseTypes, WhomAnErrorReachedIsSaid) {
  Write(1, {{1, 0, "gateway", "request", 0, 10, "failed"},
            {2, 1, "runner", "execute", 0, 10, "failed"},
            {3, 2, "router", "route", 0, 9, "failed", "", "upstream failed"},
            {4, 3, "store", "get", 0, 8, "failed", "", "no such key"}});
  EXPECT_EQ(Causes(1).at(0).evidence,
            "store.get (span 0000000000000004) failed after 8.0 s: no such key; no span below it "
            "failed; propagated to router.route, runner.execute, gateway.request");
}

TEST_F(RootCauseTypes, TheOnlyKnownErrorGoesBeforeAnUnknownOne) {
  // The phase went on after its connection was reset; nothing else says why the execution failed.
  Write(1, {{1, 0, "runner", "execute", 0, 10, "failed", "ValueError", "empty answer"},
            {2, 1, "runner", "fetch", 1, 5},
            {3, 2, "store", "get", 1, 2, "failed", "ECONNRESET"}});
  EXPECT_EQ(Confidences(1), "CONNECTION_FAILURE 0.55, UNKNOWN 0.30");
  EXPECT_THAT(Causes(1).at(0).evidence, HasSubstr("its caller went on"));
  // Not where it was repaired, by a retry.
  Write(2, {{1, 0, "runner", "execute", 0, 10, "failed", "ValueError", "empty answer"},
            {2, 1, "runner", "fetch", 1, 5},
            {3, 2, "store", "get", 1, 2, "failed", "ECONNRESET"},
            {4, 2, "store", "get", 3, 4}});
  EXPECT_EQ(Confidences(2), "UNKNOWN 0.30, CONNECTION_FAILURE 0.25");
  // Nor where something known was not recovered from.
  Write(3, {{1, 0, "runner", "execute", 0, 10, "timeout"},
            {2, 1, "runner", "fetch", 1, 5},
            {3, 2, "store", "get", 1, 2, "failed", "ECONNRESET"}});
  EXPECT_EQ(RootCause(3), "SERVICE_TIMEOUT");
}

class DroppedSpans : public RootCauseTypes {
 protected:
  static void WriteDrops(int execution) {
    Database().Run(
        absl::StrCat("INSERT INTO trace_batches (writer_id, sequence, committed_at, spans)"
                     " SELECT DISTINCT '00000000-0000-0000-0000-0000000000aa'::uuid, ",
                     execution, ", created_at, 1 FROM trace_spans WHERE execution_id = ", execution,
                     " AND span_id = '00000000-0000-0000-0000-000000000001';"
                     " INSERT INTO trace_drops (since, until, spans, writer_id, reason) VALUES"
                     " (now() - interval '61 minutes', now() - interval '59 minutes', 12,"
                     " '00000000-0000-0000-0000-0000000000aa', 'ring_full')"));
  }
};

TEST_F(DroppedSpans, AreSaidBehindAllElse) {
  Write(1, {{1, 0, "runner", "execute", 0, 10, "failed"}});
  WriteDrops(1);
  EXPECT_EQ(Confidences(1), "UNKNOWN 0.30, SPANS_DROPPED 0.20");
  EXPECT_EQ(Causes(1).at(1).evidence,
            "the writers of its spans lost 12 spans in its time (ring_full 12): the cause may be "
            "among them");
  // Also behind what was recovered from.
  Write(2, {{1, 0, "runner", "execute", 0, 10}, {2, 1, "router", "route", 1, 2, "failed"}});
  WriteDrops(2);
  EXPECT_EQ(Confidences(2), "UNKNOWN 0.05, SPANS_DROPPED 0.04");
}

TEST_F(DroppedSpans, AreNoCauseWhereNothingIsWrong) {
  Write(1, {{1, 0, "runner", "execute", 0, 10}});
  WriteDrops(1);
  EXPECT_THAT(Causes(1), IsEmpty());
  // But for a parent that is missing.
  Write(2, {{1, 9, "router", "route", 0, 10}});
  WriteDrops(2);
  EXPECT_EQ(RootCause(2), "SPANS_DROPPED");
  EXPECT_THAT(Causes(2).at(0).evidence,
              HasSubstr("the parent of router.route (span 0000000000000001) is missing"));
}

class NotSampled : public RootCauseTypes {
 protected:
  static void Mark(int execution) {
    Database().Run(
        absl::StrCat("UPDATE trace_spans SET metadata = '{\"spanring.sampled\": false}'"
                     " WHERE execution_id = ",
                     execution, " AND span_id = '00000000-0000-0000-0000-000000000001'"));
  }
};

TEST_F(NotSampled, IsSaidBehindAllElse) {
  Write(1, {{1, 0, "runner", "execute", 0, 10, "failed", "ECONNREFUSED"}});
  Mark(1);
  EXPECT_EQ(Confidences(1), "CONNECTION_FAILURE 0.95, TRACE_NOT_SAMPLED 0.20");
  EXPECT_THAT(Causes(1).at(1).evidence, HasSubstr("its trace is not sampled"));
  EXPECT_THAT(Database().Value("SELECT anomaly_reason FROM diagnose_execution_trace(1)"),
              HasSubstr("; not sampled: only spans that failed or took long"));
  // Where nothing is wrong it explains a parent that is missing, and else nothing.
  Write(2, {{1, 9, "runner", "execute", 0, 10}});
  Mark(2);
  EXPECT_EQ(Confidences(2), "TRACE_NOT_SAMPLED 0.01");
  Write(3, {{1, 0, "runner", "execute", 0, 10}});
  Mark(3);
  EXPECT_THAT(Causes(3), IsEmpty());
}

TEST_F(NotSampled, AGapMayBeASpanThatIsNotStored) {
  const std::vector<Span> spans = {{1, 0, "runner", "execute", 0, 100, "failed"},
                                   {2, 1, "router", "route", 90, 100, "failed"}};
  Write(1, spans);
  EXPECT_EQ(RootCause(1), "NETWORK_TIMEOUT");
  Write(2, spans);
  Mark(2);
  EXPECT_THAT(Confidences(2), HasSubstr("NETWORK_TIMEOUT 0.40"));
  EXPECT_THAT(Causes(2).at(0).evidence, HasSubstr("so that one may that is not stored"));
}

// A call between services, from both sides: which of them failed?
class Sides : public RootCauseTypes {
 protected:
  // The runner calls the router from second 1 on.
  static void WriteCall(std::int64_t execution, Span client, std::optional<Span> server,
                        const std::string& runner_status = "failed") {
    const double end_s = runner_status == "completed" ? 40 : client.end_s.value_or(0) + 1;
    client.kind = "client";
    std::vector<Span> spans = {{1, 0, "runner", "execute", 0, end_s, runner_status}, client};
    if (server) {
      server->kind = "server";
      spans.push_back(*server);
    }
    Write(execution, spans);
  }
  // `type service operation` of each candidate.
  static std::vector<std::string> Answers(std::int64_t execution) {
    std::vector<std::string> answers;
    for (const Cause& cause : Causes(execution)) {
      answers.push_back(absl::StrCat(cause.type, " ", cause.service, " ", cause.operation));
    }
    return answers;
  }
};

TEST_F(Sides, TheServersErrorIsTheCauseOfItsClients) {
  WriteCall(1, {2, 1, "runner", "call", 1, 9, "failed", "500", "HTTP 500"},
            Span{3, 2, "router", "infer", 2, 8, "failed", "KeyError", "no model"});
  EXPECT_THAT(Answers(1), ElementsAre("UNKNOWN router infer"));
  EXPECT_EQ(Causes(1).at(0).evidence,
            "router.infer (span 0000000000000003) failed after 6.0 s: KeyError: no model; no span "
            "below it failed; propagated to runner.call, runner.execute");
  EXPECT_THAT(Causes(1).at(0).recommendation, HasSubstr("read the logs of router"));
  // Also where the client's error is of a known kind, and the server's is not.
  WriteCall(2, {2, 1, "runner", "call", 1, 9, "failed", "ECONNRESET"},
            Span{3, 2, "router", "infer", 2, 8, "failed", "KeyError", "no model"});
  EXPECT_THAT(Answers(2), ElementsAre("UNKNOWN router infer"));
}

TEST_F(Sides, AConnectionThatWasRefusedIsTheClientsAndNamesWhomItCalled) {
  Span client = {2, 1, "runner", "call", 1, 1.1, "failed", "ConnectionRefusedError"};
  WriteCall(1, client, std::nullopt);
  EXPECT_THAT(Answers(1), ElementsAre("CONNECTION_FAILURE runner call"));
  EXPECT_THAT(Causes(1).at(0).evidence, Not(HasSubstr("it called")));
  EXPECT_THAT(Causes(1).at(0).recommendation, HasSubstr("what runner.call connects to is up"));

  client.attributes = R"({"peer.service": "router", "server.address": "10.0.0.7"})";
  WriteCall(2, client, std::nullopt);
  EXPECT_THAT(Answers(2), ElementsAre("CONNECTION_FAILURE runner call"));
  EXPECT_THAT(Causes(2).at(0).evidence, HasSubstr("; it called router; no span below it failed"));
  EXPECT_THAT(Causes(2).at(0).recommendation,
              HasSubstr("check that router, which runner.call connects to, is up and reachable"));

  client.attributes = R"({"server.address": "10.0.0.7", "server.port": 8000})";
  WriteCall(3, client, std::nullopt);
  EXPECT_THAT(Causes(3).at(0).evidence, HasSubstr("; it called 10.0.0.7:8000;"));
  // Of other errors nobody asks whether it is up.
  client.error_type = "ValueError";
  WriteCall(4, client, std::nullopt);
  EXPECT_THAT(Causes(4).at(0).evidence, Not(HasSubstr("it called")));
}

TEST_F(Sides, ATimeoutIsTheClientsWhoSpentTheTimeIsTheServers) {
  for (const bool by_status : {true, false}) {
    const std::int64_t execution = by_status ? 1 : 2;
    WriteCall(execution,
              {2, 1, "runner", "call", 1, 31, by_status ? "timeout" : "failed",
               by_status ? "" : "httpx.ReadTimeout"},
              Span{3, 2, "router", "infer", 1.1, 50});
    EXPECT_THAT(Answers(execution),
                ElementsAre("SLOW_DEPENDENCY router infer", "SERVICE_TIMEOUT runner call"));
    EXPECT_THAT(Causes(execution).at(0).evidence,
                HasSubstr("spent 48.9 s itself in 1 span of the 30.0 s after which runner.call "
                          "(span 0000000000000002) timed out"));
    EXPECT_THAT(
        Causes(execution).at(1).evidence,
        HasSubstr("; router.infer (span 0000000000000003) went on, and completed 19.0 s later;"));
  }
}

TEST_F(Sides, AnAnswerThatGotLostIsTheNetworks) {
  WriteCall(1, {2, 1, "runner", "call", 1, 9, "failed", "ECONNRESET"},
            Span{3, 2, "router", "infer", 1.1, 2});
  EXPECT_THAT(Answers(1), ElementsAre("CONNECTION_FAILURE router -> runner infer -> call"));
  EXPECT_THAT(Causes(1).at(0).evidence,
              HasSubstr("; router.infer (span 0000000000000003) had completed after 900.0 ms;"));
  EXPECT_THAT(Causes(1).at(0).recommendation,
              HasSubstr("check the network and proxies on the way router -> runner"));
  for (const char* error : {"http.client.IncompleteRead", "httpx.RemoteProtocolError",
                            "aiohttp.ServerDisconnectedError"}) {
    WriteCall(2, {2, 1, "runner", "call", 1, 9, "failed", error},
              Span{3, 2, "router", "infer", 1.1, 2});
    EXPECT_EQ(Answers(2).at(0), "CONNECTION_FAILURE router -> runner infer -> call") << error;
    Database().Run("DELETE FROM trace_spans WHERE execution_id = 2");
  }
}

TEST_F(Sides, AnAnswerThatNeverCameIsTheNetworksHoweverShortTheDeadline) {
  const Span client = {2, 1, "runner", "call", 1, 31, "failed", "httpx.ReadTimeout"};
  WriteCall(1, client, Span{3, 2, "router", "infer", 1.1, 2});
  EXPECT_THAT(Answers(1), ElementsAre("NETWORK_TIMEOUT router -> runner infer -> call",
                                      "SERVICE_TIMEOUT runner call"));
  EXPECT_THAT(Causes(1).at(1).evidence, HasSubstr("had completed after 900.0 ms"));
  // The request was late, and the server's time was short.
  WriteCall(2, client, Span{3, 2, "router", "infer", 21, 30});
  EXPECT_EQ(Answers(2).at(0), "NETWORK_TIMEOUT runner -> router call -> infer");
  // Half of the time is not most of it.
  WriteCall(3, client, Span{3, 2, "router", "infer", 1, 16});
  EXPECT_THAT(Answers(3), ElementsAre("SERVICE_TIMEOUT runner call"));
}

TEST_F(Sides, ATimeoutIsToldByItsTextToo) {
  WriteCall(1, {2, 1, "runner", "call", 1, 31, "failed", "", "deadline of 30 s exceeded"},
            Span{3, 2, "router", "infer", 1.1, 2});
  EXPECT_EQ(RootCause(1), "NETWORK_TIMEOUT");
}

TEST_F(Sides, AServersOwnTimeoutStaysItsOwnHoweverLateItBegan) {
  for (const char* status : {"timeout", "failed"}) {
    WriteCall(1, {2, 1, "router", "call", 1, 5, status, "RuntimeError", "modal timed out"},
              Span{3, 2, "modal", "inference", 3.5, 5, "timeout", "TimeoutError"});
    EXPECT_THAT(Answers(1), ElementsAre("SERVICE_TIMEOUT modal inference")) << status;
    Database().Run("DELETE FROM trace_spans");
  }
}

TEST_F(Sides, ATimeoutThatWasRetriedWithSuccessIsNoNetworksTimeout) {
  Write(1, {{1, 0, "runner", "execute", 0, 40},
            {2, 1, "runner", "call", 1, 31, "timeout", "", "", false, "client"},
            {3, 2, "router", "infer", 1.1, 2},
            {4, 1, "runner", "call", 32, 33, "completed", "", "", false, "client"},
            {5, 4, "router", "infer", 32.1, 32.9}});
  EXPECT_THAT(Answers(1), ElementsAre("SERVICE_TIMEOUT runner call"));
  EXPECT_THAT(Causes(1).at(0).evidence, HasSubstr("; its caller went on"));
}

TEST_F(Sides, AClientsOwnErrorStaysItsOwn) {
  // It was answered, and could not read what it got.
  WriteCall(1, {2, 1, "runner", "call", 1, 9, "failed", "ValueError", "no JSON"},
            Span{3, 2, "router", "infer", 1.1, 2});
  EXPECT_THAT(Answers(1), ElementsAre("UNKNOWN runner call"));
  EXPECT_THAT(Causes(1).at(0).evidence, HasSubstr("had completed after 900.0 ms"));
  // A span that is no client's may have done anything in its time.
  Write(2, {{1, 0, "runner", "execute", 0, 31, "timeout"}, {2, 1, "router", "infer", 1, 2}});
  EXPECT_THAT(Answers(2), ElementsAre("SERVICE_TIMEOUT runner execute"));
}

TEST_F(Sides, AServersErrorThatItsClientHandledIsSaidAndWeighsLittle) {
  const Span server = {3, 2, "router", "infer", 2, 8, "failed", "KeyError", "no model"};
  WriteCall(1, {2, 1, "runner", "call", 1, 9}, server, "completed");
  EXPECT_EQ(Confidences(1), "UNKNOWN 0.05");
  EXPECT_EQ(Causes(1).at(0).service, "router");
  EXPECT_THAT(Causes(1).at(0).evidence, HasSubstr("; its caller went on"));
  // The call failed too, and its caller went on.
  WriteCall(2, {2, 1, "runner", "call", 1, 9, "failed", "500"}, server, "completed");
  EXPECT_EQ(Confidences(2), "UNKNOWN 0.05");
  EXPECT_EQ(Causes(2).at(0).service, "router");
  EXPECT_THAT(Causes(2).at(0).evidence, HasSubstr("; its caller went on"));
}

TEST_F(RootCauseTypes, OneTraceIsAskedByItsId) {
  Write(1, {{1, 0, "runner", "execute", 0, 10, "failed", "", "", true},
            {2, 1, "store", "get", 0, 8, "failed", "ECONNREFUSED", "", true}});
  EXPECT_EQ(Database().Rows("SELECT root_cause_type, affected_service FROM trace_root_cause("
                            "NULL, '00000000-0000-0000-0000-000000000001') WHERE rank = 1"),
            (std::vector<std::vector<std::string>>{{"CONNECTION_FAILURE", "store"}}));
  EXPECT_EQ(Database().Value("SELECT evidence FROM trace_root_cause("
                             "NULL, '00000000-0000-0000-0000-000000000009')"),
            "no span is recorded for trace 00000000-0000-0000-0000-000000000009");
}

TEST_F(RootCauseTypes, ThousandsOfFailuresAreAnsweredSoon) {
  Database().Run(
      "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation, started_at,"
      " completed_at, status, error_message, execution_id)"
      " SELECT '00000000-0000-0000-0000-000000000001', lpad(to_hex(i), 32, '0')::uuid,"
      "  CASE WHEN i > 1 THEN lpad(to_hex(i / 3 + 1 - (i % 3 = 0)::integer), 32, '0')::uuid END,"
      "  'service' || i % 7, 'operation' || i % 11, now() - interval '1 h',"
      "  now() - interval '1 h' + interval '1 s', 'failed', 'error ' || i, 1"
      " FROM generate_series(1, 10000) AS i");
  Database().Run("SET statement_timeout = '20s'");
  EXPECT_THAT(Causes(1), Not(IsEmpty()));
  Database().Run("RESET statement_timeout");
}

}  // namespace
}  // namespace spanring::test
