#include <gmock/gmock.h>

#include "sql/executions.h"

namespace spanring::test {
namespace {

using ::testing::HasSubstr;
using Rows = std::vector<std::vector<std::string>>;

class Clocks : public ExecutionTest {
 protected:
  // Of the spans that are moved: operation, seconds, why.
  static Rows Shifts() {
    return Database().Rows(
        "SELECT operation, trim_scale(shift_ns / 1e9), reason FROM trace_clock_skew(1)"
        " WHERE shift_ns <> 0 ORDER BY row_order");
  }

  static Span Call(int id, int parent, const std::string& service, const std::string& kind,
                   double start_s, std::optional<double> end_s) {
    return {.id = id,
            .parent = parent,
            .service = service,
            .operation = service + std::to_string(id),
            .start_s = start_s,
            .end_s = end_s,
            .kind = kind};
  }

  // In seconds: client, server, network, request and response as recorded, the same adjusted.
  static Rows Calls() {
    std::string columns = "client_operation, server_operation";
    for (const char* part : {"client", "server", "network", "request", "response",
                             "adjusted_request", "adjusted_response"}) {
      columns += std::string(", trim_scale(") + part + "_ns / 1e9)";
    }
    return Database().Rows("SELECT " + columns + ", pairing FROM trace_network_times(1)");
  }
  static std::string Note() {
    return Database().Value("SELECT string_agg(note, ' | ') FROM trace_network_times(1)");
  }
};

TEST_F(Clocks, AChildThatFitsIsLeftAlone) {
  Write(1, {{1, 0, "a", "root", 0, 10}, {2, 1, "b", "early", 0, 4}, {3, 1, "b", "late", 1, 10}});
  EXPECT_EQ(Shifts(), Rows());
}

TEST_F(Clocks, AChildThatDoesNotFitGoesToTheMiddleAndTakesItsServiceAlong) {
  Write(1, {{1, 0, "a", "root", 10, 20},
            {2, 1, "b", "early", 5, 11},
            {3, 2, "b", "below", 6, 7},
            {4, 3, "c", "fits", 6.5, 6.75},
            {5, 1, "d", "late", 18, 22}});
  // `fits` lies in its parent by its own clock, and not by the adjusted one.
  EXPECT_EQ(Shifts(), (Rows{{"early", "7", "started before its parent"},
                            {"below", "7", "as its parent"},
                            {"fits", "6.875", "started before its parent"},
                            {"late", "-5", "ended after its parent"}}));
  EXPECT_EQ(
      Database().Rows("SELECT operation, started_at = (SELECT started_at FROM trace_spans AS"
                      " s WHERE s.span_id = skew.span_id), adjusted_started_at - started_at,"
                      " (adjusted_offset_ns - offset_ns) / 1000000000, parent_service"
                      " FROM trace_clock_skew(1) AS skew WHERE operation IN ('root', 'late')"),
      (Rows{{"root", "t", "00:00:00", "0", "<null>"}, {"late", "t", "-00:00:05", "-5", "a"}}));
}

TEST_F(Clocks, WithinOneServiceNothingIsMoved) {
  Write(1, {{1, 0, "a", "root", 10, 20}, {2, 1, "a", "before", 5, 11}, {3, 2, "a", "c", 0, 30}});
  EXPECT_EQ(Shifts(), Rows());
}

TEST_F(Clocks, WhatOutlastsItsParentIsOnlyKeptFromStartingBeforeIt) {
  Write(1, {{1, 0, "a", "root", 10, 20},
            {2, 1, "b", "before", 8, 28},
            {3, 1, "b", "after", 12, 40},
            {4, 1, "c", "open", 7, kNeverEnded},
            {5, 4, "d", "below open", 5, 6},
            {6, 1, "c", "open inside", 12, kNeverEnded}});
  EXPECT_EQ(Shifts(), (Rows{{"open", "3", "started before its parent"},
                            {"below open", "5", "started before its parent"},
                            {"before", "2", "started before its parent"}}));
}

TEST_F(Clocks, RoundingToMicrosecondsIsNoSkew) {
  // The server ends 50 ns before its client; by its rounded start it would end after it.
  Database().Run(
      "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation, started_at,"
      " completed_at, duration_ns, status, execution_id) SELECT"
      " '00000000-0000-0000-0000-000000000001', id::uuid, parent::uuid, service, 'o',"
      " 'epoch'::timestamptz + first * interval '1 us', 'epoch'::timestamptz + last * interval"
      " '1 us', ns, 'completed', 1 FROM (VALUES"
      " ('00000000-0000-0000-0000-000000000001', NULL, 'a', 1000, 1006, 5100),"
      " ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 'b', 1002,"
      " 1006, 4150)) AS spans (id, parent, service, first, last, ns)");
  EXPECT_EQ(Shifts(), Rows());
  EXPECT_EQ(Database().Rows("SELECT network_ns, adjusted_request_ns, adjusted_response_ns"
                            " FROM trace_network_times(1)"),
            (Rows{{"950", "950", "0"}}));
}

TEST_F(Clocks, NetworkIsClientMinusServerWhateverTheClocksSay) {
  Write(1, {Call(1, 0, "a", "server", 10, 30), Call(2, 1, "a", "client", 12, 22),
            Call(3, 2, "b", "server", 3, 9), Call(4, 1, "a", "client", 23, 29),
            Call(5, 4, "c", "server", 24, 28)});
  EXPECT_EQ(Calls(), (Rows{{"a2", "b3", "10", "6", "4", "-9", "13", "2", "2", "kind"},
                           {"a4", "c5", "6", "4", "2", "1", "1", "1", "1", "kind"}}));
  EXPECT_EQ(Note(), "<null>");
  EXPECT_EQ(Database().Value("SELECT shift_ns / 1e9::bigint FROM trace_network_times(1)"
                             " WHERE server_service = 'b'"),
            "11");
}

TEST_F(Clocks, TwoEndsWithOneIdAreACallAndItsChildrenBelongToTheServer) {
  Write(1, {Call(1, 0, "a", "server", 0, 9), Call(2, 1, "a", "client", 1, 8),
            Call(2, 1, "b", "server", 2, 7), Call(3, 2, "b", "", 3, 4)});
  EXPECT_EQ(Calls(), (Rows{{"a2", "b2", "7", "5", "2", "1", "1", "1", "1", "shared id"}}));
  EXPECT_EQ(Database().Value("SELECT string_agg(repeat('-', depth) || operation, ' '"
                             " ORDER BY row_order) FROM trace_tree(1)"),
            "a1 -a2 --b2 ---b3");
  EXPECT_EQ(Database().Value("SELECT string_agg(operation || self_time_ns / 1000000000, ' '"
                             " ORDER BY row_order) FROM trace_tree(1)"),
            "a12 a22 b24 b31");
}

TEST_F(Clocks, SharedIdsOutliveSkewAndMissingParents) {
  Write(1, {Call(2, 77, "a", "client", 10, 18), Call(2, 77, "b", "server", 2, 7),
            Call(2, 77, "c", "", 3, 4)});
  EXPECT_EQ(Calls(), (Rows{{"a2", "b2", "8", "5", "3", "-8", "11", "1.5", "1.5", "shared id"}}));
  EXPECT_EQ(Database().Value("SELECT string_agg(operation || is_orphan, ' ' ORDER BY row_order)"
                             " FROM trace_tree(1)"),
            "c2true a2true b2false");
}

TEST_F(Clocks, WithoutKindsAChildInAnotherServiceIsACall) {
  Write(1, Execution2193());
  EXPECT_EQ(
      Calls(),
      (Rows{{"hybrid_router_call", "inference_request", "238.9", "82.5", "156.4", "0.1", "156.3",
             "0.1", "156.3", "services"},
            {"modal_call", "inference", "82.3", "77.3", "5", "4", "1", "4", "1", "services"}}));
}

TEST_F(Clocks, OtherKindsAreNoCalls) {
  Write(1, {Call(1, 0, "a", "producer", 0, 9), Call(2, 1, "b", "consumer", 1, 8),
            Call(3, 1, "c", "server", 1, 8), Call(4, 3, "d", "server", 2, 3),
            Call(5, 3, "c", "client", 4, 5), Call(6, 5, "c", "server", 4, 5)});
  EXPECT_EQ(Calls(), Rows());
}

TEST_F(Clocks, KindsAreReadInAnyCase) {
  Write(1, {Call(1, 0, "a", "CLIENT", 0, 9), Call(2, 1, "b", "Server", 1, 8)});
  EXPECT_EQ(Calls().at(0).back(), "kind");
}

TEST_F(Clocks, ANegativeNetworkIsZeroAndSaid) {
  Write(1, {Call(1, 0, "a", "client", 0, 5), Call(2, 1, "b", "server", 1, 8)});
  EXPECT_EQ(Calls(), (Rows{{"a1", "b2", "5", "7", "0", "1", "-3", "1", "<null>", "kind"}}));
  EXPECT_EQ(Note(), "the server took 2.0 s longer than the client waited");
}

TEST_F(Clocks, WhatCannotBeToldIsNullAndSaid) {
  Write(1, {Call(1, 0, "a", "client", 0, 5), Call(2, 1, "b", "server", 1, 2),
            Call(3, 1, "c", "server", 3, 4)});
  EXPECT_EQ(
      Calls(),
      (Rows{{"a1", "b2", "5", "1", "<null>", "<null>", "<null>", "<null>", "<null>", "kind"},
            {"a1", "c3", "5", "1", "<null>", "<null>", "<null>", "<null>", "<null>", "kind"}}));
  EXPECT_THAT(Note(), HasSubstr("2 spans of other services"));
  SetUp();
  Write(1, {Call(1, 0, "a", "client", 0, kNeverEnded), Call(2, 1, "b", "server", 1, 2)});
  EXPECT_EQ(Calls(),
            (Rows{{"a1", "b2", "<null>", "1", "<null>", "1", "<null>", "1", "<null>", "kind"}}));
  EXPECT_EQ(Note(), "the client never ended");
}

// Where no clock moves, the gaps of adjusted positions are those that trace_gaps() tells.
TEST_F(Clocks, GapsOfPositionsThatDoNotMoveAreTheRecordedOnes) {
  constexpr char kShifted[] =
      "SELECT gap.kind, gap.from_row, gap.to_row, gap.parent_row, gap.offset_ns, gap.gap_ns"
      " FROM (SELECT array_agg(parent_row) AS parent_row, array_agg(status) AS status,"
      "  array_agg(offset_ns) AS offset_ns, array_agg(duration_ns) AS duration_ns"
      "  FROM (SELECT * FROM trace_tree(1) ORDER BY row_order) AS tree) AS spans"
      " CROSS JOIN LATERAL trace_tree_shifted_gaps(parent_row, status, offset_ns, duration_ns)"
      " AS gap";
  const std::string recorded =
      "SELECT kind, from_row, to_row, parent_row, offset_ns, gap_ns FROM trace_gaps(1)";
  const std::vector<std::vector<Span>> executions = {
      Execution2193(),
      {Call(1, 0, "a", "", 0, 10), Call(2, 1, "b", "", 2, 6), Call(3, 1, "b", "", 3, 4),
       Call(4, 1, "b", "", 9, 12), Call(5, 1, "b", "", 14, 15)},
      {Call(1, 0, "a", "", 0, kNeverEnded), Call(2, 1, "b", "", 1, 2),
       Call(3, 1, "b", "", 3, kNeverEnded), Call(4, 3, "b", "", 4, 5)},
      {Call(1, 0, "a", "", 0, 1), Call(2, 0, "b", "", 3, 4), Call(3, 0, "b", "", 3.5, 5)}};
  for (const std::vector<Span>& execution : executions) {
    SetUp();
    Write(1, execution);
    const Rows gaps = Database().Rows(kShifted);
    EXPECT_EQ(gaps, Database().Rows(recorded));
    EXPECT_FALSE(gaps.empty());
  }
}

TEST_F(Clocks, ATraceMayBeAskedForByItsIdAndAnUnknownOneIsEmpty) {
  Write(7, Execution2193());
  for (const auto& [function, rows] :
       {std::pair("trace_clock_skew", "5"), std::pair("trace_network_times", "2")}) {
    EXPECT_EQ(Database().Value(std::string("SELECT count(*) FROM ") + function +
                               "(NULL, '00000000-0000-0000-0000-000000000007')"),
              rows);
    EXPECT_EQ(Database().Value(std::string("SELECT count(*) FROM ") + function + "(404)"), "0");
  }
}

}  // namespace
}  // namespace spanring::test
