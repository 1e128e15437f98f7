// spanring doctor: why are no spans arriving?
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/render/text.h"
#include "schema/migrator.h"

namespace spanring::cli {
namespace {

enum class Level { kOk, kWarn, kFail };

struct Check {
  Level level;
  std::string name;
  std::string finding;
  std::string advice;
};

using Checks = std::vector<Check>;

constexpr int kOldestServer = 130000;

const char* Word(Level level) {
  return level == Level::kOk ? "ok" : level == Level::kWarn ? "warn" : "FAIL";
}

// The words that the library knows; see include/spanring.
void CheckFlag(Checks* checks) {
  const char* value = std::getenv("ENABLE_DB_TRACING");
  std::string word = value != nullptr ? value : "";
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto is_one_of = [&word](const auto& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const std::array<std::string_view, 4> on = {"true", "1", "yes", "on"};
  const std::array<std::string_view, 5> off = {"", "false", "0", "no", "off"};
  const std::string advice = "set ENABLE_DB_TRACING=true in the traced program's environment";
  if (is_one_of(on)) {
    checks->push_back({Level::kOk, "flag", "ENABLE_DB_TRACING is on here", ""});
  } else if (is_one_of(off)) {
    checks->push_back({Level::kWarn, "flag",
                       value == nullptr ? "ENABLE_DB_TRACING is not set here"
                                        : absl::StrCat("ENABLE_DB_TRACING is ", value),
                       advice});
  } else {
    checks->push_back({Level::kFail, "flag",
                       absl::StrCat("ENABLE_DB_TRACING=", value, " is not a word it knows: off"),
                       advice});
  }
}

void CheckServer(const Session& session, Checks* checks) {
  const int version = PQserverVersion(session.connection());
  absl::StatusOr<pg::Result> result = session.Query(
      "SELECT current_setting('server_version') AS version, current_setting('server_encoding') AS "
      "encoding, current_setting('transaction_read_only') AS read_only, pg_is_in_recovery() AS "
      "standby, current_setting('max_connections')::int AS slots, (SELECT count(*) FROM "
      "pg_stat_activity WHERE backend_type = 'client backend') AS used, "
      "pg_size_pretty(pg_database_size(current_database())) AS size");
  if (!result.ok()) {
    checks->push_back({Level::kFail, "server", std::string(result.status().message()), ""});
    return;
  }
  const bool old = version < kOldestServer;
  checks->push_back({old ? Level::kFail : Level::kOk, "server",
                     "PostgreSQL " + Field(*result, 0, "version"),
                     old ? "use PostgreSQL 13 or newer" : ""});
  const std::string encoding = Field(*result, 0, "encoding");
  const bool utf8 = encoding == "UTF8";
  checks->push_back({utf8 ? Level::kOk : Level::kFail, "encoding", encoding,
                     utf8 ? "" : "create the database with ENCODING 'UTF8'"});
  const bool read_only =
      Field(*result, 0, "read_only") == "on" || Field(*result, 0, "standby") == "t";
  checks->push_back(
      {read_only ? Level::kFail : Level::kOk, "writable",
       read_only ? "the database takes no writes (a standby, or read-only)" : "yes",
       read_only ? "connect to the primary, or end default_transaction_read_only" : ""});
  const int used = std::atoi(Field(*result, 0, "used").c_str());
  const int slots = std::atoi(Field(*result, 0, "slots").c_str());
  const bool tight = used * 10 >= slots * 9;
  checks->push_back({tight ? Level::kWarn : Level::kOk, "limits",
                     absl::StrCat(used, " of ", slots, " connections in use; database of ",
                                  Field(*result, 0, "size")),
                     tight ? "raise max_connections, or put a pooler in front" : ""});
}

// False when there is no schema to ask further.
bool CheckSchema(const Context& context, const Session& session, Checks* checks) {
  absl::StatusOr<schema::SchemaStatus> status = schema::Status(session.connection());
  if (!status.ok()) {
    // A writer need not be allowed to read the list of migrations.
    absl::StatusOr<pg::Result> there =
        session.Query("SELECT to_regclass('trace_spans') IS NOT NULL AS there");
    const bool exists = there.ok() && Field(*there, 0, "there") == "t";
    checks->push_back({exists ? Level::kWarn : Level::kFail, "schema",
                       exists ? "is there; its version cannot be read by this user"
                              : std::string(status.status().message()),
                       exists ? "ask once more as its owner or as a spanring_reader" : ""});
    return exists;
  }
  const std::string found =
      absl::StrCat("version ", status->newest_in_database, " of ", status->newest_in_program);
  if (status->IsCurrent()) {
    checks->push_back({Level::kOk, "schema", found, ""});
  } else if (status->newest_in_database == 0) {
    checks->push_back({Level::kFail, "schema", "missing", "run: " + context.Copyable("migrate")});
    return false;
  } else if (status->DatabaseIsNewer()) {
    checks->push_back(
        {Level::kWarn, "schema", found + ": newer than this program", "upgrade the program"});
  } else {
    checks->push_back({Level::kFail, "schema",
                       found + (status->objects_current ? ""
                                                        : ", views "
                                                          "and functions differ"),
                       "run: " + context.Copyable("migrate")});
  }
  return true;
}

// True when all are there; `level` is how bad it is when not.
bool CheckRights(const Session& session, const char* name, const char* role,
                 const std::string& wanted, Level level, Checks* checks) {
  // Each row of `wanted` is an object and the privilege that is needed on it, or on columns of it.
  absl::StatusOr<pg::Result> result = session.Query(
      "SELECT string_agg(split_part(object, '(', 1) || ' (' || privilege || ')', ', ' ORDER BY "
      "object) AS missing, "
      "current_user AS me FROM (VALUES " +
      wanted +
      ") AS needed (object, privilege) "
      "WHERE NOT CASE WHEN object LIKE '%\\_seq' THEN has_sequence_privilege(object, privilege) "
      "WHEN object LIKE '%(%' THEN "
      "coalesce(has_function_privilege(to_regprocedure(object), privilege), false) "
      "ELSE coalesce(has_any_column_privilege(to_regclass(object), privilege), false) END");
  if (!result.ok()) {
    checks->push_back({Level::kFail, name, std::string(result.status().message()), ""});
    return false;
  }
  if (IsNull(*result, 0, "missing")) {
    checks->push_back({Level::kOk, name, "granted to " + Field(*result, 0, "me"), ""});
    return true;
  }
  checks->push_back(
      {level, name, "missing on " + Field(*result, 0, "missing"),
       absl::StrCat("as the owner: GRANT ", role, " TO \"", Field(*result, 0, "me"), "\"")});
  return false;
}

void CheckWriters(const Session& session, Checks* checks) {
  absl::StatusOr<pg::Result> result = session.Query(
      "SELECT count(*) AS writers, coalesce(sum(spans_persisted), 0) AS persisted, "
      "date_trunc('second', now() - max(last_seen_at)) AS ago, max(last_seen_at) < now() - "
      "interval '1 day' AS long_ago FROM trace_writers");
  if (!result.ok()) {
    checks->push_back({Level::kFail, "writers", std::string(result.status().message()), ""});
    return;
  }
  if (Field(*result, 0, "writers") == "0") {
    checks->push_back({Level::kWarn, "writers", "no traced program has ever written here",
                       "start one with ENABLE_DB_TRACING=true and this DATABASE_URL; "
                       "its log says why it cannot write"});
    return;
  }
  const bool long_ago = Field(*result, 0, "long_ago") == "t";
  checks->push_back(
      {long_ago ? Level::kWarn : Level::kOk, "writers",
       absl::StrCat(Field(*result, 0, "writers"), " seen, the last ", Field(*result, 0, "ago"),
                    " ago; ", Field(*result, 0, "persisted"), " spans persisted"),
       long_ago ? "see the traced program's log, and its ENABLE_DB_TRACING" : ""});
}

void CheckDrops(const Session& session, Checks* checks) {
  absl::StatusOr<pg::Result> result =
      session.Query("SELECT spans_dropped, drops_by_reason FROM trace_spans_health");
  if (!result.ok()) {
    checks->push_back({Level::kFail, "drops", std::string(result.status().message()), ""});
  } else if (Field(*result, 0, "spans_dropped") == "0") {
    checks->push_back({Level::kOk, "drops", "none", ""});
  } else {
    checks->push_back({Level::kWarn, "drops",
                       absl::StrCat(Field(*result, 0, "spans_dropped"),
                                    " spans: ", Field(*result, 0, "drops_by_reason")),
                       "the reasons are explained in docs/operations.md"});
  }
}

constexpr char kWriterNeeds[] =
    "('trace_spans', 'INSERT'), ('trace_spans_id_seq', 'USAGE'), "
    "('trace_batches', 'INSERT'), ('trace_open_spans', 'INSERT'), "
    "('trace_ensure_partitions(integer)', 'EXECUTE'), "
    "('trace_writer_started(uuid, text, text, integer, text)', 'EXECUTE'), "
    "('trace_writer_counted(uuid, bigint, bigint, jsonb, boolean)', 'EXECUTE'), "
    "('trace_writer_recovered(uuid, bigint, jsonb)', 'EXECUTE'), "
    "('trace_writer_sampled_out(uuid, bigint)', 'EXECUTE'), "
    "('trace_close_spans(uuid, uuid[], uuid[])', 'EXECUTE')";
constexpr char kReaderNeeds[] =
    "('trace_spans', 'SELECT'), ('trace_waterfall', 'SELECT'), ('trace_spans_health', 'SELECT'), "
    "('trace_writers', 'SELECT'), ('trace_open_spans', 'SELECT'), ('trace_drops', 'SELECT')";

void CheckDatabase(const Context& context, Checks* checks) {
  absl::StatusOr<Target> target = Resolve(context);
  if (!target.ok()) {
    checks->push_back({Level::kFail, "database", std::string(target.status().message()), ""});
    return;
  }
  checks->push_back(
      {Level::kOk, "database", absl::StrCat(target->described, " (", target->source, ")"), ""});
  absl::StatusOr<Session> session = Session::Open(context);
  if (!session.ok()) {
    checks->push_back({Level::kFail, "connection", std::string(session.status().message()), ""});
    return;
  }
  checks->push_back({Level::kOk, "connection", "works", ""});
  CheckServer(*session, checks);
  if (!CheckSchema(context, *session, checks)) return;
  CheckRights(*session, "insert", "spanring_writer", kWriterNeeds, Level::kFail, checks);
  // A traced program's own role need not read.
  if (CheckRights(*session, "read", "spanring_reader", kReaderNeeds, Level::kWarn, checks)) {
    CheckWriters(*session, checks);
    CheckDrops(*session, checks);
  }
}

void PrintJson(const Checks& checks) {
  nlohmann::json json = nlohmann::json::array();
  for (const Check& check : checks) {
    json.push_back({{"check", check.name},
                    {"level", check.level == Level::kFail ? "fail" : Word(check.level)},
                    {"finding", check.finding},
                    {"advice", check.advice}});
  }
  Print(EscapeJson(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
}

void PrintText(const Context& context, const Checks& checks) {
  for (const Check& check : checks) {
    const Tone tone = check.level == Level::kOk     ? Tone::kGood
                      : check.level == Level::kWarn ? Tone::kWarning
                                                    : Tone::kBad;
    const std::string head = context.style.Paint(PadRight(Word(check.level), 4), tone) + "  " +
                             PadRight(check.name, 10) + "  ";
    const std::vector<std::string> lines = Wrap(Escape(check.finding), context.width - 18);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      Print((i == 0 ? head : std::string(18, ' ')) + lines[i]);
    }
    if (check.advice.empty()) continue;
    for (const std::string& line : Wrap("→ " + Escape(check.advice), context.width - 18)) {
      Print(std::string(18, ' ') + context.style.Paint(line, Tone::kBold));
    }
  }
}

}  // namespace

absl::StatusOr<int> Doctor(const Context& context) {
  Checks checks;
  CheckFlag(&checks);
  CheckDatabase(context, &checks);
  if (context.options.json) {
    PrintJson(checks);
  } else {
    PrintText(context, checks);
  }
  const bool failed = std::any_of(checks.begin(), checks.end(),
                                  [](const Check& check) { return check.level == Level::kFail; });
  return failed ? kExitBadAnswer : kExitOk;
}

}  // namespace spanring::cli
