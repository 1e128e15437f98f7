#include "schema/migrator.h"

#include <cstdlib>
#include <map>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "pg/client.h"
#include "schema/embedded_sql.h"

namespace spanring::schema {
namespace {

#define SPANRING_RETURN_IF_ERROR(expression) \
  if (absl::Status status_ = (expression); !status_.ok()) return status_

// One key for all programs that migrate; advisory locks are per database. Never renumber.
// What comes behind it may wait for readers, and later readers queue behind it: not for ever.
constexpr char kLock[] =
    "SELECT pg_advisory_xact_lock(7308332045223159143); SET LOCAL lock_timeout = '60s'";

// The row of spanring_migrations that stands for the whole of sql/objects/.
constexpr int kObjectsVersion = 0;

// SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html
constexpr std::string_view kInvalidFunctionDefinition = "42P13";
constexpr std::string_view kInvalidTableDefinition = "42P16";
constexpr std::string_view kLockNotAvailable = "55P03";
constexpr std::string_view kInsufficientPrivilege = "42501";
constexpr std::string_view kDependentObjectsStillExist = "2BP01";
constexpr std::string_view kObjectNotInPrerequisiteState = "55000";
constexpr std::string_view kDuplicateTable = "42P07";

constexpr char kCreateLedger[] = R"sql(
CREATE TABLE spanring_migrations (
    version    integer     NOT NULL CONSTRAINT spanring_migrations_pkey PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE spanring_migrations IS
    'Which schema changes were applied; version 0 stands for all views and functions.';
COMMENT ON COLUMN spanring_migrations.version IS 'Number in front of the file''s name.';
COMMENT ON COLUMN spanring_migrations.name IS 'Rest of the file''s name.';
COMMENT ON COLUMN spanring_migrations.checksum IS 'SHA-256 of the text that was run, in hex.';
COMMENT ON COLUMN spanring_migrations.applied_at IS 'When it was run.';
)sql";

// Read committed, so that what the previous holder of the lock committed is seen; the
// deadline of a statement is the caller's default and too short for adopting a big table.
constexpr char kBegin[] = R"sql(
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL statement_timeout = 0;
SET LOCAL client_min_messages = warning;
SET LOCAL check_function_bodies = off;
)sql";

struct AppliedRow {
  std::string name;
  std::string checksum;
  std::string applied_at;
};
using Ledger = std::map<int, AppliedRow>;

std::string Label(int version, absl::string_view name) {
  return absl::StrFormat("%03d_%s", version, name);
}

// Turns errors that an operator can do something about into FailedPrecondition.
absl::Status Explain(absl::string_view doing, const absl::Status& status) {
  if (absl::IsUnavailable(status)) return status;
  const std::string_view sqlstate = pg::SqlState(status);
  std::string message = absl::StrCat(doing, ": ", status.message());
  if (sqlstate == kLockNotAvailable) {
    return absl::UnavailableError(absl::StrCat(
        message, "; another session holds the object, see pg_stat_activity and run it again"));
  }
  if (sqlstate == kInsufficientPrivilege) {
    return absl::FailedPreconditionError(
        absl::StrCat(message, "; connect as the owner of the schema and its tables"));
  }
  if (sqlstate == kDependentObjectsStillExist) {
    return absl::FailedPreconditionError(
        absl::StrCat(message, "; drop what depends on it, or move it elsewhere, and try again"));
  }
  if (sqlstate == kObjectNotInPrerequisiteState || sqlstate == kDuplicateTable)
    return absl::FailedPreconditionError(message);
  return absl::InternalError(message);
}

// Collects what the SQL files say by RAISE INFO, for as long as it lives.
class NoticeCollector {
 public:
  NoticeCollector(PGconn* connection, std::vector<std::string>* notices)
      : connection_(connection),
        previous_(PQsetNoticeReceiver(connection, &NoticeCollector::Receive, notices)) {}
  ~NoticeCollector() { PQsetNoticeReceiver(connection_, previous_, nullptr); }
  NoticeCollector(const NoticeCollector&) = delete;
  NoticeCollector& operator=(const NoticeCollector&) = delete;

 private:
  static void Receive(void* notices, const PGresult* result) {
    const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (message == nullptr) return;
    static_cast<std::vector<std::string>*>(notices)->push_back(pg::OneLine(message));
  }

  PGconn* connection_;
  PQnoticeReceiver previous_;
};

// One transaction that is rolled back unless committed.
class Transaction {
 public:
  explicit Transaction(PGconn* connection) : connection_(connection) {}
  ~Transaction() {
    if (begun_ && PQtransactionStatus(connection_) != PQTRANS_IDLE) {
      // The first error is the one to report; a rollback that fails means a dead connection.
      (void)pg::Execute(connection_, "ROLLBACK");
    }
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  [[nodiscard]] absl::Status Begin(const char* sql) {
    if (PQtransactionStatus(connection_) != PQTRANS_IDLE) {
      return absl::FailedPreconditionError(
          "the connection is inside a transaction: commit or roll it back before migrating");
    }
    begun_ = true;
    SPANRING_RETURN_IF_ERROR(pg::Execute(connection_, sql));
    return PinSearchPath();
  }
  [[nodiscard]] absl::Status Commit() { return pg::Execute(connection_, "COMMIT"); }

 private:
  // The functions take this path over with SET search_path FROM CURRENT. pg_temp last, since it
  // would be searched first when left out, and a caller could put a table of its own in front.
  absl::Status PinSearchPath() {
    auto pinned = pg::Query(connection_,
                            "SELECT set_config('search_path', quote_ident(current_schema())"
                            " || ', pg_temp', true) WHERE current_schema() IS NOT NULL");
    if (!pinned.ok()) return pinned.status();
    if (PQntuples(pinned->get()) == 0) {
      return absl::FailedPreconditionError(
          "no schema of search_path exists: create one, or set search_path for this role");
    }
    return absl::OkStatus();
  }

  PGconn* connection_;
  bool begun_ = false;
};

absl::Status Lock(PGconn* connection) {
  absl::Status locked = pg::Execute(connection, kLock);
  return locked.ok() ? locked : Explain("waiting for another migration", locked);
}

absl::StatusOr<Ledger> ReadLedger(PGconn* connection) {
  Ledger ledger;
  auto exists = pg::Query(connection, "SELECT to_regclass('spanring_migrations') IS NOT NULL");
  if (!exists.ok()) return exists.status();
  if (pg::Cell(exists->get(), 0, 0) != "t") return ledger;
  auto rows =
      pg::Query(connection, "SELECT version, name, checksum, applied_at FROM spanring_migrations");
  if (!rows.ok()) return Explain("reading spanring_migrations", rows.status());
  for (int row = 0; row < PQntuples(rows->get()); ++row) {
    ledger[std::atoi(PQgetvalue(rows->get(), row, 0))] = {
        std::string(pg::Cell(rows->get(), row, 1)), std::string(pg::Cell(rows->get(), row, 2)),
        std::string(pg::Cell(rows->get(), row, 3))};
  }
  return ledger;
}

int NewestInProgram() { return Migrations().empty() ? 0 : Migrations().back().version; }

int NewestInDatabase(const Ledger& ledger) { return ledger.empty() ? 0 : ledger.rbegin()->first; }

bool ObjectsCurrent(const Ledger& ledger) {
  const auto row = ledger.find(kObjectsVersion);
  return row != ledger.end() && row->second.checksum == ObjectsChecksum();
}

absl::Status CheckSameHistory(const Ledger& ledger) {
  if (NewestInDatabase(ledger) > NewestInProgram()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the database is at schema version ", NewestInDatabase(ledger),
                     ", this program knows up to ", NewestInProgram(), ": use a newer spanring"));
  }
  for (const Migration& migration : Migrations()) {
    const auto row = ledger.find(migration.version);
    if (row == ledger.end() || row->second.checksum == migration.checksum) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "migration ", Label(migration.version, migration.name),
        " was applied with another text (checksum ", row->second.checksum.substr(0, 12), " there, ",
        migration.checksum.substr(0, 12),
        " here): use the spanring that made the schema, or migrate down with it first"));
  }
  return absl::OkStatus();
}

absl::Status Record(PGconn* connection, int version, absl::string_view name,
                    absl::string_view checksum) {
  return pg::Query(connection,
                   "INSERT INTO spanring_migrations (version, name, checksum)"
                   " VALUES ($1, $2, $3) ON CONFLICT (version) DO UPDATE"
                   " SET checksum = excluded.checksum, applied_at = excluded.applied_at",
                   {std::to_string(version), std::string(name), std::string(checksum)})
      .status();
}

// By name only, so that an earlier release's argument list is found as well.
constexpr char kDropView[] = R"sql(
SELECT format('DROP VIEW %s', oid::regclass) FROM pg_class
WHERE relname = $1 AND relkind = 'v' AND relnamespace = quote_ident(current_schema())::regnamespace
)sql";
constexpr char kDropFunction[] = R"sql(
SELECT format('DROP FUNCTION %s', oid::regprocedure) FROM pg_proc
WHERE proname = $1 AND pronamespace = quote_ident(current_schema())::regnamespace
)sql";

absl::Status DropObject(PGconn* connection, const Object& object) {
  auto drop = pg::Query(connection, object.kind == ObjectKind::kView ? kDropView : kDropFunction,
                        {std::string(object.name)});
  if (!drop.ok()) return drop.status();
  for (int row = 0; row < PQntuples(drop->get()); ++row) {
    SPANRING_RETURN_IF_ERROR(pg::Execute(connection, PQgetvalue(drop->get(), row, 0)));
  }
  return absl::OkStatus();
}

absl::Status DropObjects(PGconn* connection) {
  const std::vector<Object> reversed(Objects().rbegin(), Objects().rend());
  for (const Object& object : reversed) {
    if (absl::Status dropped = DropObject(connection, object); !dropped.ok()) {
      return Explain(absl::StrCat("dropping ", object.name), dropped);
    }
  }
  return pg::Query(connection, "DELETE FROM spanring_migrations WHERE version = $1",
                   {std::to_string(kObjectsVersion)})
      .status();
}

absl::Status CreateObjects(PGconn* connection) {
  for (const Object& object : Objects()) {
    SPANRING_RETURN_IF_ERROR(pg::Execute(connection, std::string(object.text)));
  }
  return absl::OkStatus();
}

// CREATE OR REPLACE keeps what users granted and built on the objects, but cannot change a result's
// columns: only then all of them are dropped first.
absl::Status ApplyObjects(PGconn* connection) {
  SPANRING_RETURN_IF_ERROR(pg::Execute(connection, "SAVEPOINT objects"));
  absl::Status created = CreateObjects(connection);
  const std::string_view sqlstate = pg::SqlState(created);
  if (sqlstate == kInvalidFunctionDefinition || sqlstate == kInvalidTableDefinition) {
    SPANRING_RETURN_IF_ERROR(pg::Execute(connection, "ROLLBACK TO objects"));
    SPANRING_RETURN_IF_ERROR(DropObjects(connection));
    created = CreateObjects(connection);
  }
  if (!created.ok()) return Explain("creating the views and functions", created);
  if (absl::Status finished =
          pg::Execute(connection,
                      "SELECT trace_maintain_error_patterns(); SELECT trace_grant_roles();"
                      " SELECT trace_ensure_partitions();");
      !finished.ok()) {
    return Explain("writing error patterns, granting rights and making partitions", finished);
  }
  return Record(connection, kObjectsVersion, "objects", ObjectsChecksum());
}

absl::Status ApplyPending(PGconn* connection, const Ledger& ledger, MigrateReport* report) {
  for (const Migration& migration : Migrations()) {
    if (ledger.contains(migration.version)) continue;
    const std::string label = Label(migration.version, migration.name);
    absl::Status applied = pg::Execute(connection, std::string(migration.up));
    if (!applied.ok()) return Explain(absl::StrCat("migration ", label), applied);
    SPANRING_RETURN_IF_ERROR(
        Record(connection, migration.version, migration.name, migration.checksum));
    report->applied.push_back(label);
  }
  return absl::OkStatus();
}

absl::Status TakeBack(PGconn* connection, const Migration& migration, MigrateReport* report) {
  const std::string label = Label(migration.version, migration.name);
  absl::Status taken_back = pg::Execute(connection, std::string(migration.down));
  if (!taken_back.ok()) return Explain(absl::StrCat("taking back ", label), taken_back);
  report->applied.push_back(label);
  return pg::Query(connection, "DELETE FROM spanring_migrations WHERE version = $1",
                   {std::to_string(migration.version)})
      .status();
}

}  // namespace

absl::StatusOr<SchemaStatus> Status(PGconn* connection) {
  Transaction transaction(connection);
  SPANRING_RETURN_IF_ERROR(transaction.Begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  auto ledger = ReadLedger(connection);
  if (!ledger.ok()) return ledger.status();
  SPANRING_RETURN_IF_ERROR(transaction.Commit());

  SchemaStatus status;
  status.objects_current = ObjectsCurrent(*ledger);
  status.newest_in_database = NewestInDatabase(*ledger);
  status.newest_in_program = NewestInProgram();
  for (const Migration& migration : Migrations()) {
    const auto row = ledger->find(migration.version);
    const bool applied = row != ledger->end();
    status.migrations.push_back({migration.version, std::string(migration.name), applied,
                                 applied ? row->second.applied_at : ""});
  }
  for (auto row = ledger->upper_bound(NewestInProgram()); row != ledger->end(); ++row) {
    status.migrations.push_back({row->first, row->second.name, true, row->second.applied_at});
  }
  return status;
}

absl::StatusOr<MigrateReport> Up(PGconn* connection) {
  MigrateReport report;
  NoticeCollector collector(connection, &report.notices);
  Transaction transaction(connection);
  SPANRING_RETURN_IF_ERROR(transaction.Begin(kBegin));
  SPANRING_RETURN_IF_ERROR(Lock(connection));
  auto ledger = ReadLedger(connection);
  if (!ledger.ok()) return ledger.status();
  SPANRING_RETURN_IF_ERROR(CheckSameHistory(*ledger));

  if (ledger->empty()) {
    if (absl::Status created = pg::Execute(connection, kCreateLedger); !created.ok()) {
      return Explain("creating spanring_migrations", created);
    }
  }
  SPANRING_RETURN_IF_ERROR(ApplyPending(connection, *ledger, &report));
  if (!report.applied.empty() || !ObjectsCurrent(*ledger)) {
    SPANRING_RETURN_IF_ERROR(ApplyObjects(connection));
    report.objects_applied = true;
  }
  SPANRING_RETURN_IF_ERROR(transaction.Commit());
  return report;
}

absl::StatusOr<MigrateReport> Down(PGconn* connection, int to_version, bool allow_data_loss) {
  if (to_version < 0 || to_version > NewestInProgram()) {
    return absl::InvalidArgumentError(absl::StrCat("there is no schema version ", to_version,
                                                   ": choose 0 to ", NewestInProgram()));
  }
  MigrateReport report;
  NoticeCollector collector(connection, &report.notices);
  Transaction transaction(connection);
  SPANRING_RETURN_IF_ERROR(transaction.Begin(kBegin));
  SPANRING_RETURN_IF_ERROR(Lock(connection));
  auto ledger = ReadLedger(connection);
  if (!ledger.ok()) return ledger.status();
  SPANRING_RETURN_IF_ERROR(CheckSameHistory(*ledger));
  if (NewestInDatabase(*ledger) <= to_version) return report;
  if (!allow_data_loss) {
    return absl::FailedPreconditionError(absl::StrCat(
        "going down from version ", NewestInDatabase(*ledger), " to ", to_version,
        " drops tables with their rows: make a backup, then allow the loss of data explicitly"));
  }

  SPANRING_RETURN_IF_ERROR(DropObjects(connection));
  report.objects_applied = true;
  std::vector<Migration> reversed(Migrations().rbegin(), Migrations().rend());
  for (const Migration& migration : reversed) {
    if (migration.version <= to_version || !ledger->contains(migration.version)) continue;
    SPANRING_RETURN_IF_ERROR(TakeBack(connection, migration, &report));
  }
  if (to_version == 0) {
    SPANRING_RETURN_IF_ERROR(pg::Execute(connection, "DROP TABLE spanring_migrations"));
  }
  SPANRING_RETURN_IF_ERROR(transaction.Commit());
  return report;
}

}  // namespace spanring::schema
