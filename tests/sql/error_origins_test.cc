#include <gmock/gmock.h>

#include "sql/executions.h"

namespace spanring::test {
namespace {

using ::testing::HasSubstr;
using Rows = std::vector<std::vector<std::string>>;

class ErrorOrigins : public ExecutionTest {
 protected:
  static Rows Origins(const std::string& columns = "service || '.' || operation") {
    return Database().Rows(
        "SELECT " + columns +
        " FROM trace_error_origins(now() - interval '2 h', now()) ORDER BY rank");
  }
  static std::string First() {
    const Rows rows = Origins();
    return rows.empty() ? "none" : rows[0][0];
  }
};

TEST_F(ErrorOrigins, NothingFailed) {
  Write(1, {{1, 0, "shop", "buy", 0, 10}});
  EXPECT_EQ(First(), "none");
}

TEST_F(ErrorOrigins, DeepestFailureWithWhomItReached) {
  Write(1, {{1, 0, "shop", "buy", 0, 10, "failed"},
            {2, 1, "cart", "check", 0, 9, "failed"},
            {3, 2, "bank", "charge", 0, 8, "failed", "NullPointer", "boom"},
            {4, 2, "mail", "send", 8, 9}});
  EXPECT_EQ(Origins("service, operation, error_type, error_message, failures, reached"),
            (Rows{{"bank", "charge", "NullPointer", "boom", "1", "{cart,shop}"}}));
  EXPECT_THAT(Origins("evidence")[0][0], HasSubstr("bank.charge (span 0000000000000003) failed"));
}

TEST_F(ErrorOrigins, TheEarliestComesFirstAndTheSameIsCountedOnce) {
  for (const int trace : {1, 2, 3}) {
    Write(trace, {{1, 0, "shop", "buy", trace * 10.0, trace * 10.0 + 5, "failed", "E"}});
  }
  Write(4, {{1, 0, "shop", "list", 0, 3, "failed", "F"}});
  EXPECT_EQ(Origins("operation, failures, traces"), (Rows{{"list", "1", "1"}, {"buy", "3", "3"}}));
}

TEST_F(ErrorOrigins, WhatOutlivedItsFailedCallerIsNoCause) {
  Write(1, {{1, 0, "shop", "buy", 0, 10, "failed"},
            {2, 1, "cart", "check", 0, 3, "failed", "", "deadline exceeded"},
            {3, 2, "bank", "charge", 0, 4, "failed", "", "canceled"}});
  EXPECT_EQ(First(), "cart.check");
  // Of one that was not failed for it, it is.
  Write(2, {{1, 0, "shop", "buy", -10, -5}, {2, 1, "bank", "charge", -10, -4, "failed"}});
  EXPECT_EQ(First(), "bank.charge");
}

TEST_F(ErrorOrigins, WhoSpentTheTimeIsBlamedForATimeout) {
  Write(1, {{1, 0, "shop", "buy", 0, 10, "timeout"},
            {2, 1, "cart", "check", 0, 12},
            {3, 2, "store", "query", 0, 11}});
  EXPECT_EQ(First(), "store.query");
  EXPECT_THAT(Origins("evidence")[0][0], HasSubstr("usually is not known; reached shop"));
}

TEST_F(ErrorOrigins, WhoAlwaysTakesSoLongIsNot) {
  Write(1, {{1, 0, "shop", "buy", 0, 10, "timeout"}, {2, 1, "store", "query", 0, 12}});
  Write(2, {{1, 0, "shop", "buy", 20, 40}, {2, 1, "store", "query", 20, 32}});
  EXPECT_EQ(First(), "shop.buy");
  EXPECT_THAT(Origins("evidence")[0][0], HasSubstr("the deadline is short"));
  Write(3, {{1, 0, "shop", "buy", 0, 10, "timeout"}, {2, 1, "store", "scan", 0, 12}});
  Write(4, {{1, 0, "store", "scan", 20, 21}});
  EXPECT_EQ(Origins()[1][0], "store.scan");
}

TEST_F(ErrorOrigins, WindowLimitAndOddParents) {
  Write(1, {{1, 1, "shop", "self", 0, 10, "failed"},
            {2, 3, "shop", "one", 0, 10, "timeout"},
            {3, 2, "shop", "two", 0, 10, "timeout"},
            {4, 99, "shop", "orphan", 0, 9, "failed"}});
  EXPECT_EQ(First(), "shop.orphan");
  EXPECT_EQ(Database().Value(
                "SELECT count(*) FROM trace_error_origins(now() - interval '2 h', now(), 1)"),
            "1");
  EXPECT_EQ(
      Database().Value("SELECT count(*) FROM trace_error_origins(now() - interval '9 d', now() -"
                       " interval '8 d')"),
      "0");
}

TEST_F(ErrorOrigins, ThousandsOfFailuresOfOneTraceAreAnsweredSoon) {
  Database().Run(
      "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation, started_at,"
      " completed_at, status, error_message)"
      " SELECT '00000000-0000-0000-0000-000000000001', lpad(to_hex(i), 32, '0')::uuid,"
      "  CASE WHEN i > 1 THEN lpad('1', 32, '0')::uuid END, 'service' || i % 7,"
      "  'operation' || i % 11, now() - interval '1 h', now() - interval '59 minutes', 'failed',"
      "  'timed out ' || i FROM generate_series(1, 10000) AS i");
  Database().Run("SET statement_timeout = '20s'");
  EXPECT_EQ(Database().Value("SELECT count(*) FROM trace_error_origins("
                             "now() - interval '2 h', now(), 1000)"),
            "77");
  Database().Run("RESET statement_timeout");
}

}  // namespace
}  // namespace spanring::test
