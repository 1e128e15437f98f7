#include <gmock/gmock.h>

#include "sql/executions.h"

namespace spanring::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RootCauses : public ExecutionTest {
 protected:
  // A runner that calls a router that calls a function; the innermost ends in `status`, and the
  // failure reaches the top.
  static std::vector<Span> Propagated(const std::string& service, const std::string& operation,
                                      const std::string& status, const std::string& error_type,
                                      const std::string& error_message) {
    return {{1, 0, "runner", "execute", 0, 10, "failed", "", "router failed"},
            {2, 1, "router", "route", 0.1, 9.9, "failed", "", "upstream failed"},
            {3, 2, service, operation, 0.2, 9.8, status, error_type, error_message}};
  }
};

TEST_F(RootCauses, Execution2193IsANetworkTimeoutBetweenRouterAndRunner) {
  Write(2193, Execution2193());
  const Cause cause = Causes(2193).at(0);
  EXPECT_EQ(cause.type, "NETWORK_TIMEOUT");
  EXPECT_EQ(cause.service, "router -> runner");
  EXPECT_EQ(cause.operation, "inference_request -> hybrid_router_call");
  EXPECT_EQ(cause.evidence,
            "no span covers 156.3 s of 238.9 s between the end of router.inference_request (span "
            "0000000000000003) and the end of runner.hybrid_router_call (span 0000000000000002)");
  EXPECT_THAT(cause.recommendation, HasSubstr("router -> runner"));
}

TEST_F(RootCauses, Execution2193IsTheSameWhenTheRunnerTimedOut) {
  Write(2193, Execution2193("timeout"));
  EXPECT_EQ(RootCause(2193), "NETWORK_TIMEOUT");
  Write(2194, Execution2193("failed"));
  EXPECT_EQ(RootCause(2194), "NETWORK_TIMEOUT");
}

TEST_F(RootCauses, Execution2193IsTheSameWithoutExecutionIdsAtTheRouter) {
  std::vector<Span> spans = Execution2193("timeout");
  for (Span& span : spans) span.without_execution = span.service != "runner";
  Write(2193, spans);
  EXPECT_EQ(RootCause(2193), "NETWORK_TIMEOUT");
}

TEST_F(RootCauses, NormalExecutionHasNone) {
  Write(1, {{1, 0, "runner", "execute", 0, 10}, {2, 1, "router", "route", 0, 10}});
  EXPECT_THAT(Causes(1), IsEmpty());
}

TEST_F(RootCauses, UnknownExecutionIsToldFromANormalOne) {
  const Cause cause = Causes(4711).at(0);
  EXPECT_EQ(cause.type, "UNKNOWN");
  EXPECT_EQ(cause.service, "<null>");
  EXPECT_EQ(cause.evidence, "no span is recorded for execution 4711");
}

TEST_F(RootCauses, GapOfSixtySecondsIsNoneAndMoreIsANetworkTimeout) {
  // Tail, between and lead, each at the threshold and just above it.
  Write(1, {{1, 0, "runner", "execute", 0, 70}, {2, 1, "router", "route", 0, 10}});
  Write(2, {{1, 0, "runner", "execute", 0, 70.001}, {2, 1, "router", "route", 0, 10}});
  Write(3, {{1, 0, "runner", "execute", 0, 80},
            {2, 1, "router", "route", 0, 10},
            {3, 1, "modal", "call", 70, 80}});
  Write(4, {{1, 0, "runner", "execute", 0, 80},
            {2, 1, "router", "route", 0, 10},
            {3, 1, "modal", "call", 70.001, 80}});
  Write(5, {{1, 0, "runner", "execute", 0, 70}, {2, 1, "router", "route", 60, 70}});
  Write(6, {{1, 0, "runner", "execute", 0, 70}, {2, 1, "router", "route", 60.001, 70}});
  EXPECT_EQ(RootCause(1), "none");
  EXPECT_EQ(RootCause(2), "NETWORK_TIMEOUT");
  EXPECT_EQ(RootCause(3), "none");
  EXPECT_EQ(RootCause(4), "NETWORK_TIMEOUT");
  EXPECT_EQ(RootCause(5), "none");
  EXPECT_EQ(RootCause(6), "NETWORK_TIMEOUT");
  EXPECT_EQ(Causes(4).at(0).service, "router -> modal");
  EXPECT_EQ(Causes(6).at(0).service, "runner -> router");
}

TEST_F(RootCauses, RefusedConnectionIsFoundInAnyCase) {
  Write(1, Propagated("router", "dial", "failed", "", "dial tcp 10.0.0.1: CONNECTION REFUSED"));
  Write(2, Propagated("router", "dial", "failed", "ECONNREFUSED", "call failed"));
  Write(3, Propagated("router", "dial", "failed", "", "read: connection reset by peer"));
  Write(4, Propagated("router", "dial", "failed", "", "No route to host"));
  Write(5, Propagated("router", "dial", "failed", "", "getaddrinfo ENOTFOUND db"));
  for (int execution = 1; execution <= 5; ++execution) {
    EXPECT_EQ(RootCause(execution), "CONNECTION_FAILURE") << execution;
    EXPECT_EQ(Causes(execution).at(0).operation, "dial");
  }
  EXPECT_THAT(Causes(1).at(0).evidence,
              AllOf(HasSubstr("router.dial (span 0000000000000003) failed after 9.6 s"),
                    HasSubstr("CONNECTION REFUSED")));
}

TEST_F(RootCauses, ErrorTypeGoesBeforeText) {
  Write(1, Propagated("router", "dial", "failed", "DeadlineExceeded", "connection refused before"));
  Write(2, Propagated("router", "dial", "failed", "ConnectionError", "timed out"));
  EXPECT_EQ(RootCause(1), "SERVICE_TIMEOUT");
  EXPECT_EQ(RootCause(2), "CONNECTION_FAILURE");
}

TEST_F(RootCauses, TextThatOnlyResemblesAnErrorIsUnknown) {
  Write(1,
        Propagated("router", "route", "failed", "", "bad multimodal input on reconnection list"));
  EXPECT_EQ(RootCause(1), "UNKNOWN");
  EXPECT_THAT(Causes(1).at(0).evidence, HasSubstr("bad multimodal input"));
}

TEST_F(RootCauses, ServiceTimeoutByStatusByTextAndByNoEnd) {
  Write(1, Propagated("search", "query", "timeout", "", ""));
  Write(2, Propagated("search", "query", "failed", "", "Context Deadline Exceeded"));
  Write(3, {{1, 0, "runner", "execute", 0, 10, "failed", "", "gave up"},
            {2, 1, "search", "query", 1, kNeverEnded}});
  for (int execution = 1; execution <= 3; ++execution) {
    EXPECT_EQ(RootCause(execution), "SERVICE_TIMEOUT") << execution;
    EXPECT_EQ(Causes(execution).at(0).service, "search") << execution;
  }
  EXPECT_THAT(Causes(3).at(0).evidence, HasSubstr("never ended"));
}

TEST_F(RootCauses, FailedModalFunctionByServiceByOperationAndByText) {
  Write(1, Propagated("modal", "inference", "failed", "", "CUDA out of memory"));
  Write(2, Propagated("gpu", "modal.inference", "failed", "", "exit status 1"));
  Write(3, Propagated("router", "call", "failed", "", "MODAL function crashed"));
  for (int execution = 1; execution <= 3; ++execution) {
    EXPECT_EQ(RootCause(execution), "MODAL_EXECUTION_FAILURE") << execution;
  }
  // A completed modal span is no failure, whatever failed elsewhere.
  Write(4, {{1, 0, "runner", "execute", 0, 10, "failed", "", "bad answer"},
            {2, 1, "modal", "inference", 0, 10}});
  EXPECT_EQ(RootCause(4), "UNKNOWN");
}

TEST_F(RootCauses, TwoMinutesAreNormalAndMoreIsADegradation) {
  Write(1, {{1, 0, "runner", "execute", 0, 120}, {2, 1, "modal", "inference", 1, 119}});
  Write(2, {{1, 0, "runner", "execute", 0, 120.001}, {2, 1, "modal", "inference", 1, 119}});
  EXPECT_EQ(RootCause(1), "none");
  const Cause cause = Causes(2).at(0);
  EXPECT_EQ(cause.type, "PERFORMANCE_DEGRADATION");
  EXPECT_EQ(cause.operation, "inference");
  EXPECT_THAT(cause.evidence, AllOf(HasSubstr("spent 118.0 s of it itself in 1 span"),
                                    HasSubstr("insufficient history")));
}

TEST_F(RootCauses, DegradationIsComparedWithOtherExecutions) {
  WriteHistory(100, 5, "modal", "inference", 4);
  Write(1, {{1, 0, "runner", "execute", 0, 130}, {2, 1, "modal", "inference", 1, 129}});
  EXPECT_THAT(Causes(1).at(0).evidence,
              HasSubstr("its longest took 128.0 s, where 5 spans of other executions took 4.0 s"));
}

TEST_F(RootCauses, PropagatedErrorIsPutDownToTheDeepestSpan) {
  Write(1, Propagated("modal", "inference", "failed", "", "exit status 137"));
  EXPECT_EQ(Causes(1).size(), 1U);
  EXPECT_EQ(Causes(1).at(0).operation, "inference");
}

TEST_F(RootCauses, RetriedConnectionGivesWayToTheSilenceThatFollowed) {
  Write(1, {{1, 0, "runner", "execute", 0, 200, "timeout"},
            {2, 1, "router", "route", 0, 1, "failed", "ECONNREFUSED"},
            {3, 1, "router", "route", 2, 50}});
  EXPECT_EQ(RootCause(1), "NETWORK_TIMEOUT");
  EXPECT_EQ(
      Causes(1).at(1).type == "CONNECTION_FAILURE" || Causes(1).at(1).type == "SERVICE_TIMEOUT",
      true);
}

TEST_F(RootCauses, RecoveredFailureNeverComesBeforeOneThatWasNot) {
  Write(1, {{1, 0, "runner", "execute", 0, 10, "failed", "ValueError", "bad answer"},
            {2, 1, "router", "route", 1, 2, "failed", "ECONNREFUSED"},
            {3, 1, "router", "route", 3, 4}});
  const std::vector<Cause> causes = Causes(1);
  ASSERT_EQ(causes.size(), 2U);
  EXPECT_EQ(causes[0].type, "UNKNOWN");
  EXPECT_EQ(causes[0].service, "runner");
  EXPECT_EQ(causes[0].evidence,
            "runner.execute (span 0000000000000001) failed after 10.0 s: ValueError: bad answer; "
            "no unrecovered failure below it");
  EXPECT_EQ(causes[1].type, "CONNECTION_FAILURE");
  EXPECT_THAT(causes[1].evidence, HasSubstr("its caller went on; no span below it failed"));
  EXPECT_EQ(Database().Value("SELECT string_agg(confidence::text, ' ' ORDER BY rank)"
                             " FROM identify_root_cause(1)"),
            "0.30 0.25");
}

TEST_F(RootCauses, RecoveredFailureOfNoKnownKindHasAConfidenceAboveZero) {
  Write(1, {{1, 0, "runner", "execute", 0, 10}, {2, 1, "router", "route", 1, 2, "failed"}});
  EXPECT_EQ(Database().Value("SELECT confidence FROM identify_root_cause(1)"), "0.05");
}

TEST_F(RootCauses, SilenceMayBeTheCallersOwnWork) {
  Write(1, {{1, 0, "runner", "execute", 0, 100}, {2, 1, "router", "route", 0, 10}});
  Write(2, {{1, 0, "runner", "execute", 0, 100}, {2, 1, "router", "route", 90, 100}});
  Write(3, {{1, 0, "runner", "execute", 0, 10}, {2, 0, "router", "route", 90, 100}});
  for (int execution = 1; execution <= 2; ++execution) {
    EXPECT_THAT(Causes(execution).at(0).recommendation,
                HasSubstr("the time passed between the two, or in runner's own work that no span "
                          "covers"))
        << execution;
  }
  EXPECT_THAT(Causes(3).at(0).recommendation, HasSubstr("between the two, in neither of them"));
}

TEST_F(RootCauses, TextMustSayThatATimeoutHappened) {
  for (const char* text :
       {"timed out", "Read timed-out", "i/o timeout", "504 Gateway Time-out", "Timeout expired",
        "timeout of 5000ms exceeded", "deadline of 238 s exceeded", "DeadlineExceeded",
        "context deadline: 3 s", "canceling statement due to statement timeout", "timeout error",
        "timeout after 30 s", "Timeout waiting for a connection from the pool", "request_timeout",
        "connection timeout", "asyncio.TimeoutError: ", "exceeded its deadline",
        "rpc error: code = DeadlineExceeded desc = stream"}) {
    EXPECT_THAT(Matched("message", text), testing::AnyOf("SERVICE_TIMEOUT", "CONNECTION_FAILURE"))
        << text;
  }
  for (const char* text :
       {"invalid timeout parameter: must be positive", "timeout must be positive",
        "unknown option --timeout=5", "invalid timeout", "bad connect timeout value",
        "deadline must lie in the future", "the timeout must not be exceeded"}) {
    EXPECT_EQ(Matched("message", text), "<null>") << text;
  }
  EXPECT_EQ(Matched("message", "modal function: bad timeout given"), "MODAL_EXECUTION_FAILURE");
  // A type or code is no sentence.
  EXPECT_EQ(Matched("type", "TimeoutParameter"), "SERVICE_TIMEOUT");
  Write(1,
        Propagated("search", "query", "failed", "", "invalid timeout parameter: must be positive"));
  EXPECT_EQ(RootCause(1), "UNKNOWN");
}

TEST_F(RootCauses, ExplicitErrorGoesBeforeASilence) {
  Write(1, {{1, 0, "runner", "execute", 0, 200, "failed"},
            {2, 1, "router", "route", 100, 200, "failed"},
            {3, 2, "modal", "inference", 101, 199, "failed", "", "exit status 1"}});
  EXPECT_EQ(RootCause(1), "MODAL_EXECUTION_FAILURE");
}

TEST_F(RootCauses, OtherExecutionsOfTheSameTraceAreNotBlamed) {
  const std::string insert =
      "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation, started_at,"
      " completed_at, status, error_message, execution_id) VALUES"
      " ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000";
  Database().Run(insert +
                 "1', NULL, 'job', 'batch', now(), now() + interval '9 s', 'completed',"
                 " NULL, NULL)");
  Database().Run(insert +
                 "2', '00000000-0000-0000-0000-000000000001', 'runner', 'execute', now(),"
                 " now() + interval '1 s', 'completed', NULL, 1)");
  Database().Run(insert +
                 "3', '00000000-0000-0000-0000-000000000001', 'runner', 'execute', now(),"
                 " now() + interval '9 s', 'failed', NULL, 2)");
  Database().Run(insert +
                 "4', '00000000-0000-0000-0000-000000000003', 'router', 'route', now(),"
                 " now() + interval '9 s', 'failed', 'connection refused', NULL)");
  EXPECT_EQ(RootCause(1), "none");
  EXPECT_EQ(RootCause(2), "CONNECTION_FAILURE");
  EXPECT_EQ(Database().Value("SELECT string_agg(operation, ',' ORDER BY row_order)"
                             " FROM trace_tree(1)"),
            "batch,execute");
}

TEST_F(RootCauses, OpenSpanNeverEnded) {
  Write(1, {{1, 0, "runner", "execute", 0, 10, "failed", "", "gave up"}});
  WriteOpen(1, {.id = 2, .parent = 1, .service = "search", .operation = "query", .start_s = 1});
  const Cause cause = Causes(1).at(0);
  EXPECT_EQ(cause.type, "SERVICE_TIMEOUT");
  EXPECT_EQ(cause.service, "search");
  EXPECT_EQ(
      cause.evidence,
      "search.query (span 0000000000000002) never ended; no span below it failed; propagated to "
      "runner.execute");
  // One that is still under way, as far as anybody knows.
  WriteOpen(2, {.id = 1, .service = "search", .operation = "query"});
  EXPECT_EQ(RootCause(2), "SERVICE_TIMEOUT");
}

TEST_F(RootCauses, ASilentProcessOfAnOpenSpanIsMentioned) {
  WriteOpen(1, {.id = 1, .service = "search", .operation = "query"});
  const auto evidence = [](const std::string& last_seen, const std::string& recovered_at) {
    Database().Run("TRUNCATE trace_writers");
    (void)Database().Rows(
        "INSERT INTO trace_writers (writer_id, service, host, pid, last_seen_at, recovered_at)"
        " VALUES ($1, 'search', 'web1', 7, now() - $2::interval, " +
            recovered_at + ")",
        {kWriterId, last_seen});
    return Causes(1).at(0).evidence;
  };
  EXPECT_THAT(evidence("3 hours 59 minutes", "NULL"),
              HasSubstr("never ended; its process 7 on web1 was last seen 3 h ago; no span"));
  EXPECT_THAT(evidence("59 minutes", "NULL"), Not(HasSubstr("last seen")));
  EXPECT_THAT(evidence("4 hours", "now()"), Not(HasSubstr("last seen")));
}

TEST_F(RootCauses, KilledProcessIsPutDownToItsDeepestSpan) {
  Write(1, {{1, 0, "gateway", "request", 0, 12, "failed", "ECONNRESET", "connection reset by peer"},
            {2, 1, "runner", "execute", 0, 10, "failed", "process_crash", "process 7 is gone"},
            {3, 2, "runner", "load", 1, 10, "failed", "process_crash"},
            {4, 3, "runner", "allocate", 9, 10, "failed", "process_crash"},
            {5, 2, "runner", "watch", 0, 10, "failed", "process_crash"}});
  const std::vector<Cause> causes = Causes(1);
  ASSERT_EQ(causes.size(), 2U);
  EXPECT_EQ(causes[0].type, "PROCESS_CRASH");
  EXPECT_EQ(causes[0].operation, "allocate");
  EXPECT_EQ(causes[0].evidence,
            "runner.allocate (span 0000000000000004) failed after 1.0 s: process_crash; the process"
            " was killed amid this operation; no span below it failed");
  EXPECT_THAT(causes[0].recommendation,
              AllOf(HasSubstr("process of runner"), HasSubstr("kernel's out-of-memory log"),
                    HasSubstr("exit code"), HasSubstr("deployment events")));
  EXPECT_EQ(causes[1].operation, "watch") << "open longer, and less deep";
}

TEST_F(RootCauses, KilledProcessGoesBeforeWhatFailedBelowIt) {
  // The callee lost its client, or failed before: either way the process is gone.
  Write(1, {{1, 0, "runner", "execute", 0, 10, "failed", "process_crash"},
            {2, 1, "router", "route", 1, 9, "failed", "ECONNRESET"}});
  WriteOpen(1, {.id = 3, .parent = 1, .service = "modal", .operation = "inference", .start_s = 2});
  const std::vector<Cause> causes = Causes(1);
  ASSERT_EQ(causes.size(), 3U);
  EXPECT_EQ(causes[0].type, "PROCESS_CRASH");
  EXPECT_THAT(causes[0].evidence, HasSubstr("; other spans below it failed as well"));
  EXPECT_EQ(causes[1].type, "CONNECTION_FAILURE");
  EXPECT_EQ(causes[2].type, "SERVICE_TIMEOUT");
}

TEST_F(RootCauses, KilledProcessExplainsMoreThanASilence) {
  Write(1, {{1, 0, "runner", "execute", 0, 200, "timeout"},
            {2, 1, "router", "route", 0, 50, "failed", "process_crash"}});
  EXPECT_EQ(RootCause(1), "PROCESS_CRASH");
  EXPECT_EQ(Causes(1).at(1).type, "NETWORK_TIMEOUT");
}

TEST_F(RootCauses, KilledProcessThatWasRecoveredFromGivesWay) {
  Write(1, {{1, 0, "runner", "execute", 0, 10, "failed", "ValueError", "bad answer"},
            {2, 1, "router", "route", 1, 2, "failed", "process_crash"},
            {3, 1, "router", "route", 3, 4}});
  EXPECT_EQ(RootCause(1), "UNKNOWN");
  EXPECT_EQ(Causes(1).at(1).type, "PROCESS_CRASH");
  EXPECT_THAT(Causes(1).at(1).evidence, HasSubstr("its caller went on"));
}

TEST_F(RootCauses, ProcessThatEndedInOrderIsToldFromAKilledOne) {
  Write(1, {{1, 0, "runner", "execute", 0, 10, "failed", "process_exit"},
            {2, 1, "runner", "wait", 1, 10, "failed", "process_exit"}});
  const std::vector<Cause> causes = Causes(1);
  ASSERT_EQ(causes.size(), 1U);
  EXPECT_EQ(causes[0].type, "PROCESS_EXIT");
  EXPECT_EQ(causes[0].operation, "wait");
  EXPECT_THAT(causes[0].evidence, HasSubstr("the process ended amid this operation"));
  EXPECT_THAT(causes[0].recommendation, HasSubstr("waits for runner.wait"));
}

}  // namespace
}  // namespace spanring::test
