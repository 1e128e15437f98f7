#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "sql/executions.h"

namespace spanring::test {
namespace {

using ::testing::HasSubstr;
using Rows = std::vector<std::vector<std::string>>;

// A gateway calls two services by client spans, of which one calls a third.
struct Load {
  double gateway_ms = 5;
  double cart_ms = 10;  // of its own
  double ad_ms = 20;
  double store_ms = 8;
  double to_cart_ms = 1;  // beyond the callee's own duration
  double to_ad_ms = 1;
  double cart_to_store_ms = 1;
  int store_calls = 1;
  int traces = 30;
  int failures = 0;  // of the first traces, in the store
};

class RootCauseWindow : public ExecutionTest {
 protected:
  static constexpr char kBefore[] = "now() - interval '3 h'";
  static constexpr char kThen[] = "now() - interval '1 h'";

  static void WriteLoad(const std::string& from, const Load& load) {
    const std::string store_ms = absl::StrCat(load.store_calls, " * ", load.store_ms);
    // One row a span: id, parent, names, start and length in ms; noise of a fifth by a sine.
    Database().Run(absl::StrCat(
        "INSERT INTO trace_spans (trace_id, span_id, parent_span_id, service, operation,"
        " started_at, duration_ns, status)"
        " SELECT md5(",
        "date_trunc('second', ", from,
        ")::text || t)::uuid,"
        "  lpad(id::text, 32, '0')::uuid, CASE WHEN parent > 0 THEN"
        "  lpad(parent::text, 32, '0')::uuid END, service, operation,"
        "  date_trunc('second', ",
        from,
        ") + make_interval(secs => t + start_ms * noise / 1000),"
        "  (length_ms * noise * 1e6)::bigint,"
        "  CASE WHEN id >= 7 AND t <= ",
        load.failures,
        " THEN 'failed' ELSE 'completed' END"
        " FROM generate_series(1, ",
        load.traces,
        ") AS t"
        " CROSS JOIN LATERAL (SELECT 1 + sin(t) / 5 AS noise) AS noise"
        " CROSS JOIN (SELECT ",
        load.cart_to_store_ms, " + ", load.store_ms,
        " AS to_store,"
        "  ",
        load.store_calls, " AS calls, ", load.cart_ms, " AS cart, ", load.ad_ms,
        " AS ad,"
        "  ",
        load.to_cart_ms, " AS to_cart, ", load.to_ad_ms,
        " AS to_ad) AS l"
        " CROSS JOIN LATERAL (SELECT cart + calls * to_store AS cart_all) AS c"
        " CROSS JOIN LATERAL ("
        "  SELECT 1, 0, 'gateway', 'request', 0::double precision,"
        "   ",
        load.gateway_ms,
        " + cart_all + to_cart + ad + to_ad"
        "  UNION ALL SELECT 2, 1, 'gateway', 'cart', 0, cart_all + to_cart"
        "  UNION ALL SELECT 3, 2, 'cart', 'cart', to_cart / 2, cart_all"
        "  UNION ALL SELECT 4, 1, 'gateway', 'ads', cart_all + to_cart, ad + to_ad"
        "  UNION ALL SELECT 5, 4, 'ads', 'ads', cart_all + to_cart + to_ad / 2, ad"
        "  UNION ALL SELECT 5 + 2 * n - 1 + 0, 3, 'cart', 'load', to_cart / 2 + (n - 1) * to_store,"
        "   to_store FROM generate_series(1, calls) AS n"
        "  UNION ALL SELECT 5 + 2 * n, 4 + 2 * n, 'store', 'load',"
        "   to_cart / 2 + (n - 1) * to_store, ",
        load.store_ms,
        "  FROM generate_series(1, calls) AS n"
        " ) AS spans (id, parent, service, operation, start_ms, length_ms)"));
  }

  static std::string Call(const std::string& function) {
    return absl::StrCat(function, "(", kThen, " - interval '1 minute', ", kThen,
                        " + interval '10 minutes', ", kBefore, " - interval '1 minute', ", kBefore,
                        " + interval '10 minutes')");
  }
  static Rows Changes() {
    return Database().Rows(
        "SELECT change_kind, concat_ws('>', caller_service, service), operation"
        " FROM " +
        Call("trace_window_changes") +
        " WHERE is_change"
        " ORDER BY 1, 2, 3");
  }
  static std::string First(const std::string& columns =
                               "root_cause_type || ' ' ||"
                               " affected_service") {
    return Database().Value("SELECT " + columns + " FROM " + Call("identify_root_cause_window") +
                            " WHERE rank = 1");
  }
};

TEST_F(RootCauseWindow, TheSameLoadIsNoChange) {
  WriteLoad(kBefore, {});
  WriteLoad(kThen, {});
  EXPECT_EQ(Changes(), Rows{});
  EXPECT_EQ(First("root_cause_type"), "UNKNOWN");
  EXPECT_THAT(First("evidence"), HasSubstr("measures of operations changed enough"));
}

TEST_F(RootCauseWindow, OwnTimeIsBlamedOnItsService) {
  WriteLoad(kBefore, {});
  WriteLoad(kThen, {.store_ms = 40});
  EXPECT_EQ(Changes(), (Rows{{"self_time", "store", "load"}}));
  EXPECT_EQ(First(), "SLOW_SERVICE store");
  EXPECT_THAT(First("evidence"), HasSubstr("z = "));
  EXPECT_EQ(First("samples || ' ' || baseline_samples || ' ' || affected_operation"), "30 30 load");
}

TEST_F(RootCauseWindow, TimeOnTheWayIsBlamedOnTheCallee) {
  WriteLoad(kBefore, {});
  WriteLoad(kThen, {.to_ad_ms = 60});
  EXPECT_EQ(Changes(), (Rows{{"call_gap", "gateway>ads", "ads"}}));
  EXPECT_EQ(First(), "SLOW_CALLS ads");
}

TEST_F(RootCauseWindow, WhereAllCallsOfOneGotSlowItIsTheCaller) {
  WriteLoad(kBefore, {});
  WriteLoad(kThen, {.to_cart_ms = 60, .to_ad_ms = 60});
  EXPECT_EQ(First(), "SLOW_CALLS gateway");
  EXPECT_THAT((std::vector<std::string>{"ads", "cart"}),
              testing::Contains(First("affected_operation")));
}

TEST_F(RootCauseWindow, ErrorsComeFirst) {
  WriteLoad(kBefore, {});
  WriteLoad(kThen, {.ad_ms = 100, .failures = 12});
  EXPECT_EQ(First(), "ERROR_RATE store");
  EXPECT_THAT(First("evidence"),
              HasSubstr("40.0 % of store.load failed with no failure below, before 0.0 %"));
  EXPECT_EQ(Database().Value("SELECT affected_service FROM " + Call("identify_root_cause_window") +
                             " WHERE rank = 2"),
            "ads");
}

TEST_F(RootCauseWindow, OtherNumbersOfCallsAreAPattern) {
  WriteLoad(kBefore, {.store_ms = 0.1, .cart_to_store_ms = 0.05});
  WriteLoad(kThen, {.store_ms = 0.1, .cart_to_store_ms = 0.05, .store_calls = 9});
  EXPECT_EQ(First(), "CALL_PATTERN cart");
  EXPECT_THAT(First("evidence"),
              HasSubstr("cart.cart called cart.load 9.00 times each, before 1.00"));
}

TEST_F(RootCauseWindow, FewTracesAreNotCompared) {
  WriteLoad(kBefore, {.traces = 4});
  WriteLoad(kThen, {.store_ms = 400, .traces = 30});
  EXPECT_EQ(First("root_cause_type"), "UNKNOWN");
  EXPECT_EQ(First("evidence"), "too few traces to compare: at most 30, before 4");
}

TEST_F(RootCauseWindow, NothingToCompareIsSaid) {
  WriteLoad(kThen, {});
  EXPECT_EQ(First("root_cause_type || evidence"), "UNKNOWNno operation has spans in both windows");
}

TEST_F(RootCauseWindow, SmallChangesOfLongTracesAreNoCause) {
  WriteLoad(kBefore, {.cart_ms = 5000, .store_ms = 2});
  WriteLoad(kThen, {.cart_ms = 5000, .store_ms = 40});
  // 38 ms of 5 s are less than 1 %.
  EXPECT_EQ(First("root_cause_type"), "UNKNOWN");
}

TEST_F(RootCauseWindow, WindowsThatAreNoneAreRefused) {
  for (const char* window : {"now(), now()", "now(), NULL", "NULL, now()"}) {
    EXPECT_THROW(
        (void)Database().Rows(absl::StrCat("SELECT * FROM identify_root_cause_window(", window,
                                           ", now() - interval '2 h', now() - interval '1 h')")),
        std::exception)
        << window;
  }
}

TEST_F(RootCauseWindow, WhatLiesInBothCountsForTheLater) {
  WriteLoad(kBefore, {});
  WriteLoad(kThen, {.store_ms = 40});
  EXPECT_EQ(Database().Value(absl::StrCat(
                "SELECT affected_service FROM identify_root_cause_window(", kThen,
                " - interval '1 minute', now(), ", kBefore, " - interval '1 minute', now())")),
            "store");
}

}  // namespace
}  // namespace spanring::test
