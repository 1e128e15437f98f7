#include "schema/migrator.h"

#include <gmock/gmock.h>

#include <thread>

#include "schema/fingerprint.h"
#include "support/database.h"

namespace spanring::schema {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Schema = test::TestDatabase::Schema;

std::string Message(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

TEST(Migrator, StatusOfAnEmptyDatabaseListsWhatIsPending) {
  const test::TestDatabase database(Schema::kEmpty);
  const auto status = Status(database.connection());
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->newest_in_database, 0);
  EXPECT_FALSE(status->objects_current);
  EXPECT_FALSE(status->IsCurrent());
  ASSERT_THAT(status->migrations, SizeIs(status->newest_in_program));
  for (const MigrationState& migration : status->migrations) EXPECT_FALSE(migration.applied);
}

TEST(Migrator, UpAppliesAllAndASecondTimeNothing) {
  const test::TestDatabase database(Schema::kEmpty);
  const auto first = Up(database.connection());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(first->applied, Contains("002_create_trace_tables"));
  EXPECT_TRUE(first->objects_applied);
  EXPECT_THAT(first->notices, IsEmpty());
  const auto second = Up(database.connection());
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_THAT(second->applied, IsEmpty());
  EXPECT_FALSE(second->objects_applied);
  const auto status = Status(database.connection());
  ASSERT_TRUE(status.ok());
  EXPECT_TRUE(status->IsCurrent());
  for (const MigrationState& migration : status->migrations) EXPECT_NE(migration.applied_at, "");
}

TEST(Migrator, UpOnACurrentDatabaseWaitsForNoReader) {
  const test::TestDatabase database;
  const pg::Connection reader = database.Connect();
  ASSERT_TRUE(pg::Execute(reader.get(),
                          "BEGIN; LOCK TABLE trace_spans, trace_writers IN ACCESS EXCLUSIVE MODE")
                  .ok());
  database.Run("SET lock_timeout = '1s'");
  EXPECT_TRUE(Up(database.connection()).ok());
}

TEST(Migrator, DownAsksForTheLossOfDataAndThenLeavesNothing) {
  const test::TestDatabase database;
  const auto refused = Down(database.connection(), 0, /*allow_data_loss=*/false);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"), "0");
  const auto allowed = Down(database.connection(), 0, /*allow_data_loss=*/true);
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  EXPECT_EQ(Fingerprint(database), "");
  EXPECT_TRUE(Down(database.connection(), 0, /*allow_data_loss=*/false).ok()) << "nothing to lose";
  EXPECT_TRUE(absl::IsInvalidArgument(Down(database.connection(), 99, true).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Down(database.connection(), -1, true).status()));
}

TEST(Migrator, DownAndUpGivesTheSameSchemaFromEveryVersion) {
  const test::TestDatabase database;
  const std::string fresh = Fingerprint(database);
  const auto status = Status(database.connection());
  for (int version = 0; version < status->newest_in_program; ++version) {
    ASSERT_TRUE(Down(database.connection(), version, true).ok());
    const auto report = Up(database.connection());
    ASSERT_TRUE(report.ok()) << version << report.status();
    EXPECT_EQ(Fingerprint(database), fresh) << version;
  }
}

TEST(Migrator, ApplyingTheObjectsAgainChangesNothing) {
  const test::TestDatabase database;
  const std::string before = Fingerprint(database);
  database.Run("UPDATE spanring_migrations SET checksum = 'older' WHERE version = 0");
  EXPECT_FALSE(Status(database.connection())->objects_current);
  const auto report = Up(database.connection());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->objects_applied);
  EXPECT_EQ(Fingerprint(database), before);
}

TEST(Migrator, RightsOfEarlierVersionsAreTakenBack) {
  const test::TestDatabase database;
  const std::string before = Fingerprint(database);
  database.Run(
      "GRANT SELECT ON trace_batches TO spanring_writer;"
      "GRANT SELECT, INSERT, UPDATE ON trace_writers TO spanring_writer;"
      "GRANT SELECT (writer_id), UPDATE (last_seen_at, drops) ON trace_writers TO spanring_writer;"
      "UPDATE spanring_migrations SET checksum = 'older' WHERE version = 0");
  const auto report = Up(database.connection());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(Fingerprint(database), before);
}

TEST(Migrator, AnObjectWhoseColumnsChangedIsReplaced) {
  const test::TestDatabase database;
  const std::string before = Fingerprint(database);
  database.Run(
      "DROP FUNCTION trace_forest; DROP VIEW trace_spans_health, trace_waterfall;"
      "CREATE VIEW trace_waterfall AS SELECT 1 AS other;"
      "DROP FUNCTION trace_gaps(bigint, uuid);"
      "CREATE FUNCTION trace_gaps(bigint, uuid DEFAULT NULL) RETURNS integer LANGUAGE sql"
      " AS 'SELECT 1';"
      "UPDATE spanring_migrations SET checksum = 'older' WHERE version = 0");
  const auto report = Up(database.connection());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(Fingerprint(database), before);
}

TEST(Migrator, ManyCallersAtOnceApplyEachStepOnce) {
  const test::TestDatabase database(Schema::kEmpty);
  std::vector<std::thread> callers;
  std::vector<std::size_t> applied(8);
  std::vector<absl::Status> statuses(8);
  for (std::size_t i = 0; i < applied.size(); ++i) {
    callers.emplace_back([&, i] {
      const pg::Connection connection = database.Connect();
      const auto report = Up(connection.get());
      statuses[i] = report.status();
      if (report.ok()) applied[i] = report->applied.size();
    });
  }
  for (std::thread& caller : callers) caller.join();
  std::size_t sum = 0;
  for (std::size_t i = 0; i < applied.size(); ++i) {
    EXPECT_TRUE(statuses[i].ok()) << statuses[i];
    sum += applied[i];
  }
  EXPECT_EQ(sum, Status(database.connection())->migrations.size());
}

TEST(Migrator, ANewerDatabaseIsLeftAlone) {
  const test::TestDatabase database;
  database.Run("INSERT INTO spanring_migrations VALUES (900, 'from_the_future', 'x')");
  const auto status = Status(database.connection());
  ASSERT_TRUE(status.ok());
  EXPECT_TRUE(status->DatabaseIsNewer());
  EXPECT_EQ(status->migrations.back().name, "from_the_future");
  const absl::Status up = Up(database.connection()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(up));
  EXPECT_THAT(Message(up), HasSubstr("use a newer spanring"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Down(database.connection(), 0, true).status()));
}

TEST(Migrator, AnotherTextOfAnAppliedStepIsRefused) {
  const test::TestDatabase database;
  database.Run("UPDATE spanring_migrations SET checksum = 'edited' WHERE version = 2");
  const absl::Status up = Up(database.connection()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(up));
  EXPECT_THAT(Message(up), HasSubstr("002_create_trace_tables was applied with another text"));
}

TEST(Migrator, AFailureLeavesTheDatabaseAsItWas) {
  const test::TestDatabase database(Schema::kEmpty);
  database.Run("CREATE TABLE trace_writers (mine integer)");
  const std::string before = Fingerprint(database);
  const absl::Status up = Up(database.connection()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(up)) << up;
  EXPECT_THAT(Message(up), HasSubstr("trace_writers"));
  EXPECT_EQ(Fingerprint(database), before);
  EXPECT_EQ(PQtransactionStatus(database.connection()), PQTRANS_IDLE);
}

TEST(Migrator, ATransactionOfTheCallerIsRefusedAndKept) {
  const test::TestDatabase database;
  database.Run("BEGIN");
  EXPECT_TRUE(absl::IsFailedPrecondition(Up(database.connection()).status()));
  EXPECT_EQ(PQtransactionStatus(database.connection()), PQTRANS_INTRANS);
  database.Run("COMMIT");
}

TEST(Migrator, AnotherSchemaOfTheSearchPathIsUsed) {
  const test::TestDatabase database(Schema::kEmpty);
  database.Run("CREATE SCHEMA \"odd Name\"; SET search_path = \"odd Name\"");
  const auto report = Up(database.connection());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(Status(database.connection())->IsCurrent());
  database.Run("SET search_path = public");
  EXPECT_EQ(database.Value("SELECT count(*) FROM \"odd Name\".diagnose_execution_trace(1)"), "0");
  EXPECT_EQ(database.Value("SELECT \"odd Name\".trace_ensure_partitions(8)"), "1");
}

TEST(Migrator, NoSchemaToPutItIsSaid) {
  const test::TestDatabase database(Schema::kEmpty);
  database.Run("SET search_path = nowhere");
  const absl::Status up = Up(database.connection()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(up)) << up;
  EXPECT_THAT(Message(up), HasSubstr("no schema of search_path exists"));
}

// Roles belong to the whole server, so the group roles may exist already, made by another test:
// without the right to create roles, the migration works either way.
TEST(Migrator, ARoleWithoutCreateroleMigrates) {
  const test::TestDatabase database(Schema::kEmpty);
  const std::string role = database.name() + "_owner";
  database.Run("CREATE ROLE " + role + "; GRANT CREATE ON SCHEMA public TO " + role);
  database.Run("SET ROLE " + role);
  const auto report = Up(database.connection());
  EXPECT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(database.Value("SELECT tableowner FROM pg_tables WHERE tablename = 'trace_spans'"),
            role);
  database.Run("RESET ROLE; DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST(Migrator, ARoleWithoutRightsIsToldWhatToDo) {
  const test::TestDatabase database(Schema::kEmpty);
  const std::string role = database.name() + "_nobody";
  database.Run("CREATE ROLE " + role + "; SET ROLE " + role);
  const absl::Status up = Up(database.connection()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(up)) << up;
  EXPECT_THAT(Message(up), HasSubstr("owner"));
  database.Run("RESET ROLE; DROP ROLE " + role);
}

}  // namespace
}  // namespace spanring::schema
