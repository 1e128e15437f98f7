// Whoever writes the query is not trusted: what the database must refuse, and for which logins.
#include "mcp/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fault/faulty_proxy.h"
#include "support.h"

namespace spanring::mcp {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

class QueryTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { traced_ = new TracedDatabase(); }
  static void TearDownTestSuite() {
    delete traced_;
    traced_ = nullptr;
  }

  static json Rows(const std::string& query, std::optional<std::int64_t> id = std::nullopt) {
    const absl::StatusOr<json> answer = RunQuery(traced_->viewer(), query, id);
    EXPECT_TRUE(answer.ok()) << query << ": " << answer.status();
    return answer.ok() ? (*answer)["rows"] : json();
  }

  static std::string Refused(const std::string& query, const QueryLimits& limits = {}) {
    const absl::StatusOr<json> answer = RunQuery(traced_->viewer(), query, std::nullopt, limits);
    EXPECT_FALSE(answer.ok()) << query << ": " << answer->dump();
    return std::string(answer.status().message());
  }

  static TracedDatabase* traced_;
};

TracedDatabase* QueryTest::traced_ = nullptr;

TEST_F(QueryTest, AnswersInTypes) {
  EXPECT_EQ(Rows("SELECT 1::bigint, 0.5, true, NULL::text, 'a', '{1,2}'::integer[]"),
            json::parse(R"([[1, 0.5, true, null, "a", "{1,2}"]])"));
}

TEST_F(QueryTest, ASumOfWholeNumbersIsWhole) {
  EXPECT_EQ(Rows("SELECT sum(9007199254740993)::text, sum(9007199254740993), sum(0.5)"),
            json::parse(R"([["9007199254740993", 9007199254740993, 0.5]])"));
}

TEST_F(QueryTest, TakesWhateverIsOneSelect) {
  EXPECT_EQ(Rows("SELECT count(*) FROM trace_waterfall WHERE execution_id = $1", 20),
            json::parse("[[3]]"));
  EXPECT_EQ(Rows("SELECT 1 AS a, 2 AS a; \n"), json::parse("[[1,2]]"));
  EXPECT_EQ(Rows("SELECT 1 -- a comment; at the end"), json::parse("[[1]]"));
  EXPECT_EQ(Rows("WITH a AS (SELECT 3 AS b) SELECT b FROM a"), json::parse("[[3]]"));
  EXPECT_EQ(Rows("VALUES (1), (2)"), json::parse("[[1],[2]]"));
  EXPECT_EQ(Rows("SELECT i FROM generate_series(1, 3) AS i ORDER BY i DESC"),
            json::parse("[[3],[2],[1]]"));
}

TEST_F(QueryTest, RefusesAllElse) {
  for (const char* query :
       {"", ";", "INSERT INTO trace_spans DEFAULT VALUES", "DELETE FROM trace_spans",
        "DELETE FROM trace_spans RETURNING 1", "SELECT 1; SELECT 2", "TABLE",
        "SELECT 1) AS q (c0); DROP TABLE trace_spans; --", "SELECT 1) AS q UNION ALL SELECT (2",
        "WITH gone AS (DELETE FROM trace_spans RETURNING 1) SELECT * FROM gone",
        "SELECT 1 INTO copied", "CREATE TABLE mine (a integer)", "EXPLAIN SELECT 1", "SHOW ALL",
        "COPY trace_spans TO STDOUT", "DO $$ BEGIN END $$", "COMMIT", "SET ROLE spanring",
        "SELECT * FROM trace_spans FOR UPDATE"}) {
    EXPECT_THAT(Refused(query), HasSubstr("refused")) << query;
  }
}

TEST_F(QueryTest, HasNoRightToWhatTheOwnerMay) {
  traced_->database().Run(
      "CREATE SCHEMA IF NOT EXISTS hidden; CREATE TABLE IF NOT EXISTS hidden.secrets (a integer)");
  for (const char* query : {"SELECT trace_retain(30)", "SELECT trace_maintain('0')",
                            "SELECT * FROM pg_authid", "SELECT pg_read_file('/etc/passwd')",
                            "SELECT pg_ls_dir('/')", "SELECT lo_import('/etc/passwd')",
                            "SELECT pg_reload_conf()", "SELECT * FROM hidden.secrets"}) {
    EXPECT_THAT(Refused(query), HasSubstr("permission denied")) << query;
  }
}

TEST_F(QueryTest, NoMoreRightsCanBeTaken) {
  for (const char* query : {"SELECT set_config('role', 'spanring', true)",
                            "SELECT set_config('role', 'none', true), *"
                            " FROM pg_authid",
                            "SELECT set_config('session_authorization', 'spanring', false)",
                            "SELECT set_config('transaction_read_only', 'off', true)"}) {
    EXPECT_THAT(Refused(query), HasSubstr("refused")) << query;
  }
}

TEST_F(QueryTest, IsBoundedInTimeRowsAndBytes) {
  const QueryLimits hasty = {.time = std::chrono::milliseconds(300)};
  EXPECT_THAT(Refused("SELECT pg_sleep(5)::text", hasty), HasSubstr("took longer"));
  // The first rows take the limit away; it is set again for the next.
  EXPECT_THAT(Refused("SELECT set_config('statement_timeout', '0', false), pg_sleep(0.02)::text"
                      " FROM generate_series(1, 1000)",
                      hasty),
              HasSubstr("took longer"));
  const absl::StatusOr<json> many =
      RunQuery(traced_->viewer(), "SELECT generate_series(1, 100000)", std::nullopt);
  ASSERT_TRUE(many.ok()) << many.status();
  EXPECT_EQ((*many)["row_count"], 200);
  EXPECT_EQ((*many)["truncated"], true);
  const absl::StatusOr<json> exact =
      RunQuery(traced_->viewer(), "SELECT generate_series(1, 200)", std::nullopt);
  ASSERT_TRUE(exact.ok()) << exact.status();
  EXPECT_EQ((*exact)["truncated"], false);
  const absl::StatusOr<json> large = RunQuery(
      traced_->viewer(), "SELECT repeat('x', 100000) FROM generate_series(1, 1000)", std::nullopt);
  ASSERT_TRUE(large.ok()) << large.status();
  EXPECT_LT(large->dump().size(), 70'000U);
  EXPECT_EQ((*large)["truncated"], true);
  std::string wide = "SELECT 1";
  for (int i = 0; i < 100; ++i) wide += ", 1";
  EXPECT_THAT(Refused(wide), HasSubstr("at most 100 columns"));
}

TEST_F(QueryTest, ADatabaseThatFallsSilentHoldsNobodyUp) {
  const std::string folder = PQhost(traced_->database().connection());
  if (!folder.starts_with('/')) GTEST_SKIP() << "the server has no socket here";
  test::FaultyProxy proxy(folder + "/.s.PGSQL." + PQport(traced_->database().connection()));
  proxy.WhenServerSays("silence", test::FaultyProxy::Fault::kSwallow, 1);
  const QueryLimits hasty = {.time = std::chrono::milliseconds(300),
                             .grace = std::chrono::milliseconds(300)};
  const absl::Status status = RunQuery(traced_->viewer() + " " + proxy.conninfo(),
                                       "SELECT 'sil' || 'ence'", std::nullopt, hasty)
                                  .status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_EQ(proxy.faults_left(), 0);
}

TEST_F(QueryTest, NothingOfASessionIsLeftForTheNext) {
  EXPECT_EQ(
      Rows("SELECT pg_advisory_lock(7)::text, set_config('search_path', 'hidden', false)").size(),
      1U);
  EXPECT_EQ(Rows("SELECT pg_try_advisory_lock(7)")[0][0], true);
  EXPECT_EQ(Rows("SELECT count(*) FROM trace_executions")[0][0], 2);
}

TEST_F(QueryTest, ALoginWithMoreRightsIsRefused) {
  const std::string id = traced_->database().name();
  const auto login = [&](const std::string& kind, const std::string& grants) {
    const std::string name = absl::StrCat(id, "_", kind);
    traced_->database().Run(absl::StrCat("CREATE ROLE ", name, " LOGIN; ", grants));
    const absl::Status status =
        RunQuery(traced_->ConninfoOf(name), "SELECT 1", std::nullopt).status();
    traced_->database().Run(absl::StrCat("DROP OWNED BY ", name, "; DROP ROLE ", name));
    return std::string(status.message());
  };
  const auto grant = [&](const std::string& what, const std::string& kind) {
    return absl::StrCat("GRANT spanring_reader TO ", id, "_", kind, "; ", what, " TO ", id, "_",
                        kind);
  };
  EXPECT_EQ(login("fine", grant("GRANT CONNECT ON DATABASE " + id, "fine")), "");
  EXPECT_THAT(login("none", "SELECT 1"), HasSubstr("may not read traces: GRANT spanring_reader"));
  EXPECT_THAT(login("files", grant("GRANT pg_read_server_files", "files")),
              AllOf(HasSubstr("pg_read_server_files"), HasSubstr("--query-database")));
  EXPECT_THAT(login("writer", grant("GRANT spanring_writer", "writer")), HasSubstr("may insert"));
  EXPECT_THAT(login("direct", grant("GRANT INSERT ON trace_spans", "direct")),
              HasSubstr("may insert"));
  EXPECT_THAT(login("function", grant("GRANT EXECUTE ON FUNCTION pg_read_file(text)", "function")),
              HasSubstr("granted to it directly"));
  const absl::Status owner =
      RunQuery(traced_->database().conninfo(), "SELECT 1", std::nullopt).status();
  EXPECT_THAT(std::string(owner.message()), HasSubstr("superuser"));
}

}  // namespace
}  // namespace spanring::mcp
