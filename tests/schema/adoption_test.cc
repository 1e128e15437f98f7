#include <gmock/gmock.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "schema/fingerprint.h"
#include "schema/migrator.h"
#include "support/database.h"

namespace spanring::schema {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using Schema = test::TestDatabase::Schema;

// As the earlier implementation made it: seven B-trees, a view, functions with its columns.
constexpr char kEarlierTable[] = R"sql(
CREATE TABLE trace_spans (
    id bigserial PRIMARY KEY, trace_id uuid NOT NULL, span_id uuid NOT NULL UNIQUE,
    parent_span_id uuid, service varchar(50) NOT NULL, operation varchar(100) NOT NULL,
    started_at timestamptz NOT NULL, completed_at timestamptz, duration_ms integer,
    status varchar(20) NOT NULL, job_id varchar(255), execution_id bigint, model_id varchar(100),
    region varchar(50), metadata jsonb, error_message text, error_type varchar(100),
    created_at timestamptz DEFAULT now());
CREATE INDEX trace_spans_trace_id_idx ON trace_spans (trace_id);
CREATE INDEX idx_trace_spans_execution_id ON trace_spans (execution_id);
CREATE VIEW trace_waterfall AS SELECT trace_id, span_id, service FROM trace_spans;
CREATE VIEW trace_spans_health AS SELECT count(*) AS total_spans FROM trace_spans;
CREATE FUNCTION diagnose_execution_trace(p_execution_id bigint)
    RETURNS TABLE (service varchar, duration_ms integer) LANGUAGE sql
    AS 'SELECT service, duration_ms FROM trace_spans WHERE execution_id = $1';
CREATE FUNCTION identify_root_cause(p_execution_id bigint)
    RETURNS TABLE (root_cause_type text) LANGUAGE sql AS 'SELECT ''NONE''::text';
)sql";

constexpr char kEarlierRows[] = R"sql(
INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, completed_at,
    duration_ms, status, execution_id, metadata, error_message, created_at)
SELECT md5('t' || i / 10)::uuid, md5('s' || i)::uuid, 'runner', 'o' || i % 7,
    '2024-02-28 20:00+00'::timestamptz + i * interval '1 minute', NULL, i, 'completed', i / 10,
    jsonb_build_object('i', i), 'ünïcode ' || i, '2024-03-05'::timestamptz + i * interval '1 s'
FROM generate_series(1, 5000) AS i;
)sql";

constexpr char kRowsDigest[] =
    "SELECT md5(string_agg(concat_ws('|', id, trace_id, span_id, parent_span_id, service,"
    " operation, started_at, completed_at, duration_ms, status, job_id, execution_id, model_id,"
    " region, metadata, error_message, error_type, created_at), E'\\n' ORDER BY id))"
    " FROM trace_spans";

TEST(Adoption, EveryRowIsKeptWithItsIdAndTime) {
  const test::TestDatabase database(Schema::kEmpty);
  database.Run(kEarlierTable);
  database.Run(kEarlierRows);
  const std::string before = database.Value(kRowsDigest);
  const auto report = Up(database.connection());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->notices, Contains(HasSubstr("5000 rows moved")));
  EXPECT_EQ(database.Value(kRowsDigest), before);
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans_default"), "0");
  EXPECT_EQ(database.Value("SELECT to_regclass('trace_spans_earlier') IS NULL"), "t");
  EXPECT_EQ(database.Value("SELECT count(*) FROM diagnose_execution_trace(7)"), "10");
  // New rows get ids behind the adopted ones.
  database.Run(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at)"
      " VALUES (gen_random_uuid(), gen_random_uuid(), 's', 'new', now())");
  EXPECT_EQ(database.Value("SELECT id > 5000 FROM trace_spans WHERE operation = 'new'"), "t");
}

TEST(Adoption, GivesTheSameDefinitionsAsAFreshDatabase) {
  const test::TestDatabase fresh;
  const test::TestDatabase adopted(Schema::kEmpty);
  adopted.Run(kEarlierTable);
  ASSERT_TRUE(Up(adopted.connection()).ok());
  EXPECT_EQ(Fingerprint(adopted), Fingerprint(fresh));
}

std::string OutputOf(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  while (const std::size_t bytes = fread(buffer, 1, sizeof(buffer), pipe)) {
    text.append(buffer, bytes);
  }
  EXPECT_EQ(pclose(pipe), 0) << command;
  return text;
}

TEST(Adoption, GivesTheSameDumpAsAFreshDatabase) {
  const test::TestDatabase fresh;
  const int server = PQserverVersion(fresh.connection()) / 10000;
  int program = 0;
  ASSERT_EQ(sscanf(OutputOf("pg_dump --version").c_str(), "pg_dump (PostgreSQL) %d", &program), 1);
  if (program < server) {
    GTEST_SKIP() << "pg_dump " << program << " dumps no server of PostgreSQL " << server;
  }
  const auto dump = [](const test::TestDatabase& database) {
    return OutputOf(absl::StrCat("pg_dump -s --exclude-table='trace_spans_2*' -d \"",
                                 database.conninfo(), "\" | grep -v '^\\\\'"));
  };
  const test::TestDatabase adopted(Schema::kEmpty);
  adopted.Run(kEarlierTable);
  ASSERT_TRUE(Up(adopted.connection()).ok());
  const std::string expected = dump(fresh);
  EXPECT_THAT(expected, HasSubstr("CREATE TABLE public.trace_spans"));
  EXPECT_EQ(dump(adopted), expected);
  ASSERT_TRUE(Down(adopted.connection(), 0, true).ok());
  ASSERT_TRUE(Up(adopted.connection()).ok());
  EXPECT_EQ(dump(adopted), expected);
}

TEST(Adoption, ColumnsThatOnlyTheEarlierTableHasAreKept) {
  const test::TestDatabase database(Schema::kEmpty);
  database.Run(kEarlierTable);
  database.Run("ALTER TABLE trace_spans ADD COLUMN customer text DEFAULT 'acme'");
  database.Run(kEarlierRows);
  const auto report = Up(database.connection());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->notices, Contains(HasSubstr("customer")));
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"), "5000");
  EXPECT_EQ(database.Value("SELECT count(customer) FROM trace_spans_earlier"), "5000");
}

TEST(Adoption, MoreDaysThanPartitionsShareTheDefaultOne) {
  const test::TestDatabase database(Schema::kEmpty);
  database.Run(kEarlierTable);
  database.Run(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, status)"
      " SELECT gen_random_uuid(), gen_random_uuid(), 's', 'o',"
      " '2020-01-01'::timestamptz + i * interval '1 day', 'completed'"
      " FROM generate_series(1, 410) AS i");
  ASSERT_TRUE(Up(database.connection()).ok());
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"), "410");
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans_default"), "10");
}

TEST(Adoption, AnUnknownTableOfThatNameIsRefusedAndUnchanged) {
  const test::TestDatabase database(Schema::kEmpty);
  database.Run(
      "CREATE TABLE trace_spans (id integer, note text);"
      "INSERT INTO trace_spans VALUES (1, 'mine')");
  const absl::Status up = Up(database.connection()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(up)) << up;
  EXPECT_THAT(up.message(), HasSubstr("it lacks completed_at"));
  EXPECT_EQ(database.Value("SELECT note FROM trace_spans"), "mine");
  EXPECT_EQ(database.Value("SELECT to_regclass('spanring_migrations') IS NULL"), "t");
}

TEST(Adoption, ViewsOfOthersOnTheEarlierTableStopIt) {
  const test::TestDatabase database(Schema::kEmpty);
  database.Run(kEarlierTable);
  database.Run("CREATE VIEW mine AS SELECT count(*) AS spans FROM trace_spans");
  const absl::Status up = Up(database.connection()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(up)) << up;
  EXPECT_EQ(database.Value("SELECT spans FROM mine"), "0");
  EXPECT_EQ(database.Value("SELECT to_regclass('trace_spans_earlier') IS NULL"), "t");
}

TEST(Adoption, RowsThatAPolicyWouldHideStopItWithoutLoss) {
  const test::TestDatabase database(Schema::kEmpty);
  const std::string role = database.name() + "_owner";
  database.Run("CREATE ROLE " + role + "; GRANT CREATE ON SCHEMA public TO " + role +
               "; SET ROLE " + role);
  database.Run(kEarlierTable);
  database.Run(kEarlierRows);
  database.Run(
      "ALTER TABLE trace_spans ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
      "CREATE POLICY half ON trace_spans USING (id % 2 = 0)");
  const absl::Status up = Up(database.connection()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(up)) << up;
  EXPECT_THAT(up.message(), HasSubstr("row-level security"));
  database.Run("RESET ROLE");
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"), "5000");
  database.Run("DROP OWNED BY " + role + " CASCADE; DROP ROLE " + role);
}

TEST(Adoption, RightsOnTheEarlierTableAreCarriedOver) {
  const test::TestDatabase database(Schema::kEmpty);
  const std::string reads = database.name() + "_Reads";  // a name that must be quoted
  const std::string writes = database.name() + "_writes";
  const std::string owned = database.name() + "_owned";
  database.Run("CREATE ROLE \"" + reads + "\"; CREATE ROLE " + writes + "; CREATE ROLE " + owned);
  database.Run(kEarlierTable);
  database.Run("GRANT SELECT ON trace_spans TO \"" + reads +
               "\" WITH GRANT OPTION; GRANT INSERT, UPDATE (status, completed_at) ON trace_spans"
               " TO " +
               writes + "; GRANT SELECT ON trace_waterfall TO " + writes +
               "; ALTER TABLE trace_spans OWNER TO " + owned);
  const auto report = Up(database.connection());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->notices, Contains(HasSubstr("rights on the earlier trace_waterfall")));
  const auto has = [&](const std::string& role, const std::string& privilege) {
    return database.Value("SELECT has_table_privilege($1, 'trace_spans', $2)", {role, privilege});
  };
  EXPECT_EQ(has(reads, "SELECT WITH GRANT OPTION"), "t");
  EXPECT_EQ(has(reads, "INSERT"), "f");
  EXPECT_EQ(has(writes, "INSERT"), "t");
  EXPECT_EQ(has(writes, "INSERT WITH GRANT OPTION"), "f");
  EXPECT_EQ(has(writes, "UPDATE"), "f");
  EXPECT_EQ(has(owned, "DELETE"), "t");
  EXPECT_EQ(database.Value("SELECT has_column_privilege($1, 'trace_spans', 'status', 'UPDATE')",
                           {writes}),
            "t");
  database.Run("SET ROLE " + writes);
  database.Run(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at)"
      " VALUES (gen_random_uuid(), gen_random_uuid(), 's', 'o', now())");
  database.Run("RESET ROLE");
  for (const std::string& role : {reads, writes, owned}) {
    database.Run("DROP OWNED BY \"" + role + "\"; DROP ROLE \"" + role + "\"");
  }
}

TEST(Adoption, TriggersAndPoliciesThatAreLeftBehindAreSaid) {
  const test::TestDatabase database(Schema::kEmpty);
  database.Run(kEarlierTable);
  database.Run(
      "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
      "CREATE TRIGGER copy_out BEFORE INSERT ON trace_spans FOR EACH ROW EXECUTE FUNCTION mine();"
      "CREATE POLICY unused ON trace_spans USING (false)");
  const auto report = Up(database.connection());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->notices, Contains(HasSubstr("policy unused, trigger copy_out")));
}

TEST(Adoption, AStatusThatNobodyKnowsStopsItWithoutLoss) {
  const test::TestDatabase database(Schema::kEmpty);
  database.Run(kEarlierTable);
  database.Run(
      "INSERT INTO trace_spans (trace_id, span_id, service, operation, started_at, status)"
      " VALUES (gen_random_uuid(), gen_random_uuid(), 's', 'o', now(), 'odd')");
  const absl::Status up = Up(database.connection()).status();
  EXPECT_FALSE(up.ok());
  EXPECT_THAT(up.message(), HasSubstr("odd"));
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"), "1");
}

}  // namespace
}  // namespace spanring::schema
