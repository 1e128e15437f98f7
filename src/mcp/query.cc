#include "mcp/query.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mcp/text.h"
#include "pg/client.h"

namespace spanring::mcp {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// SELECT could call set_config('role', ...): what counts is what the session's user may become, not
// what it is. Any right of its own is one too many, but for those to connect and to find names.
constexpr char kExcess[] = R"sql(
SELECT concat_ws(', ',
    CASE WHEN me.rolsuper THEN 'it is a superuser' END,
    CASE WHEN me.rolcreaterole THEN 'it may create roles' END,
    CASE WHEN me.rolreplication THEN 'it may replicate' END,
    CASE WHEN me.rolbypassrls THEN 'it bypasses row level security' END,
    CASE WHEN session_user <> current_user THEN 'it runs as another role' END,
    (
        SELECT 'it is a member of ' || string_agg(quote_ident(other.rolname), ', ')
        FROM (
            SELECT rolname FROM pg_roles AS role
            WHERE role.oid <> me.oid AND role.rolname <> 'spanring_reader'
              AND pg_has_role(me.oid, role.oid, 'MEMBER')
            ORDER BY rolname LIMIT 3
        ) AS other
        HAVING count(*) > 0 AND NOT me.rolsuper
    ),
    CASE WHEN has_table_privilege(session_user, to_regclass('trace_spans'), 'INSERT')
        AND NOT me.rolsuper THEN 'it may insert into trace_spans' END,
    CASE WHEN EXISTS (
        SELECT FROM pg_shdepend
        WHERE refclassid = 'pg_authid'::regclass AND refobjid = me.oid AND deptype = 'o'
    ) THEN 'it owns objects' END,
    CASE WHEN EXISTS (
        SELECT FROM pg_shdepend
        WHERE refclassid = 'pg_authid'::regclass AND refobjid = me.oid AND deptype = 'a'
          AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
          AND classid NOT IN (
              'pg_database'::regclass, 'pg_namespace'::regclass, 'pg_auth_members'::regclass)
    ) THEN 'rights were granted to it directly' END),
    coalesce(
        pg_has_role(session_user, to_regrole('spanring_reader'), 'USAGE'), false),
    to_regclass('trace_spans') IS NOT NULL, quote_ident(session_user)
FROM pg_roles AS me WHERE me.rolname = session_user)sql";

std::string HowTo(std::string_view login) {
  return absl::StrCat(
      ". query_traces needs a login of its own, with the rights of spanring_reader only. As a "
      "superuser: CREATE ROLE spanring_viewer LOGIN PASSWORD '...'; GRANT spanring_reader TO "
      "spanring_viewer; then start with --query-database "
      "postgresql://spanring_viewer@HOST/DATABASE, or SPANRING_QUERY_DATABASE. All other tools "
      "work "
      "with ",
      std::string(login));
}

absl::Status CheckLogin(PGconn* connection, const QueryLimits& limits) {
  const absl::StatusOr<pg::Result> result =
      pg::Query(connection, kExcess, {}, Clock::now() + limits.time + limits.grace);
  if (!result.ok()) return result.status();
  if (PQntuples(result->get()) != 1) return absl::FailedPreconditionError("who asks is unknown");
  const std::string excess(pg::Cell(result->get(), 0, 0));
  const std::string login(pg::Cell(result->get(), 0, 3));
  if (!excess.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "refused: the login ", login, " has more rights than a query of others may use (", excess,
        ")", HowTo(login)));
  }
  if (pg::Cell(result->get(), 0, 1) != "t") {
    return absl::FailedPreconditionError(
        absl::StrCat("the login ", login, " may not read traces: GRANT spanring_reader TO ", login,
                     ", which inherits"));
  }
  if (pg::Cell(result->get(), 0, 2) != "t") {
    return absl::FailedPreconditionError(absl::StrCat(
        "the login ", login,
        " finds no trace_spans: run spanring migrate, or set its search_path to the schema"));
  }
  return absl::OkStatus();
}

// What the database says of a query is for whoever wrote it.
absl::Status Said(const absl::Status& status, const QueryLimits& limits) {
  if (status.ok() || absl::IsUnavailable(status)) return status;
  const std::string_view code = pg::SqlState(status);
  if (code == "57014" || code == "25P03" || absl::IsDeadlineExceeded(status)) {
    return absl::DeadlineExceededError(
        absl::StrCat("the query took longer than ", limits.time.count() / 1000,
                     " s: ask for less, with a condition on started_at or execution_id"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the database refused the query: ", Cleaned(std::string(status.message()))));
}

class Run {
 public:
  Run(PGconn* connection, const QueryLimits& limits)
      : connection_(connection),
        limits_(limits),
        end_(Clock::now() + limits.time),
        given_up_(end_ + limits.grace) {}

  absl::StatusOr<Json> Answer(const std::string& query, std::optional<std::int64_t> execution_id) {
    if (const absl::Status begun = Begin(); !begun.ok()) return begun;
    if (const absl::Status described = Describe(query); !described.ok()) return described;
    if (const absl::Status opened = Open(query, execution_id); !opened.ok()) return opened;
    return Fetch();
  }

 private:
  absl::Status Begin() {
    return pg::Execute(connection_,
                       absl::StrCat("BEGIN READ ONLY; SET LOCAL timezone = 'UTC'; "
                                    "SET LOCAL datestyle = 'ISO'; ",
                                    TimeLeft()),
                       given_up_);
  }

  // Before each statement: the one before may have changed it.
  std::string TimeLeft() const {
    const auto left = std::chrono::duration_cast<milliseconds>(end_ - Clock::now()).count();
    const auto time_ms = std::max<std::int64_t>(left, 1);
    return absl::StrCat(
        "SET LOCAL statement_timeout = ", time_ms,
        "; SET LOCAL idle_in_transaction_session_timeout = ", limits_.time.count() * 2);
  }

  // As it is given, so that it is one whole statement by itself; nothing runs.
  absl::Status Describe(const std::string& query) {
    const Oid types[] = {20};  // bigint; unused where there is no $1
    const pg::Result prepared = Answered(PQsendPrepare(connection_, "", query.c_str(), 1, types));
    if (absl::Status status = Failed(prepared.get()); !status.ok()) return status;
    described_ = Answered(PQsendDescribePrepared(connection_, ""));
    if (absl::Status status = Failed(described_.get()); !status.ok()) return status;
    const int columns = PQnfields(described_.get());
    if (columns == 0)
      return absl::InvalidArgumentError(
          "refused: query_traces takes one SELECT with columns, and nothing else");
    if (columns > limits_.columns) {
      return absl::InvalidArgumentError(
          absl::StrCat("at most ", limits_.columns, " columns: name those that you need"));
    }
    return absl::OkStatus();
  }

  // A cursor takes a SELECT, and none that writes; each cell is cut where it is made.
  absl::Status Open(const std::string& query, std::optional<std::int64_t> execution_id) {
    std::vector<std::string> names;
    std::vector<std::string> cells;
    for (int i = 0; i < PQnfields(described_.get()); ++i) {
      names.push_back(absl::StrCat("c", i));
      cells.push_back(absl::StrCat("left(c", i, "::text, ", limits_.cell_bytes + 1, ")"));
    }
    const std::string without = query.substr(0, query.find_last_not_of("; \t\r\n") + 1);
    const std::string cursor = absl::StrCat("DECLARE spanring_query NO SCROLL CURSOR FOR SELECT ",
                                            absl::StrJoin(cells, ", "), " FROM (", without,
                                            "\n) AS q (", absl::StrJoin(names, ", "), ")");
    const Oid types[] = {20};
    const std::string id = absl::StrCat(execution_id.value_or(0));
    const char* values[] = {execution_id ? id.c_str() : nullptr};
    const pg::Result opened = Answered(
        PQsendQueryParams(connection_, cursor.c_str(), 1, types, values, nullptr, nullptr, 0));
    return Failed(opened.get());
  }

  absl::StatusOr<Json> Fetch() {
    Json rows = Json::array();
    bool truncated = false;
    while (!truncated) {
      if (Clock::now() >= end_) return absl::InternalError("too late [57014]");
      if (absl::Status set = pg::Execute(connection_, TimeLeft(), given_up_); !set.ok()) return set;
      const absl::StatusOr<pg::Result> some =
          pg::Query(connection_, "FETCH FORWARD 10 FROM spanring_query", {}, given_up_);
      if (!some.ok()) return some.status();
      for (int row = 0; row < PQntuples(some->get()) && !truncated; ++row) {
        Json cells = Json::array();
        for (int i = 0; i < PQnfields(some->get()); ++i) cells.push_back(Cell(some->get(), row, i));
        truncated = rows.size() >= limits_.rows || bytes_ > limits_.bytes;
        if (!truncated) rows.push_back(std::move(cells));
      }
      if (PQntuples(some->get()) < 10) break;
    }
    Json columns = Json::array();
    for (int i = 0; i < PQnfields(described_.get()); ++i) {
      columns.push_back({{"name", Cleaned(PQfname(described_.get(), i), 100)},
                         {"type", TypeName(PQftype(described_.get(), i))}});
    }
    const std::size_t count = rows.size();
    return Json{{"columns", columns},
                {"rows", std::move(rows)},
                {"row_count", count},
                {"truncated", truncated}};
  }

  Json Cell(const PGresult* result, int row, int column) {
    if (PQgetisnull(result, row, column) == 1) return nullptr;
    const std::string_view text = pg::Cell(result, row, column);
    bytes_ += text.size() + 4;
    const std::string type = TypeName(PQftype(described_.get(), column));
    if (type == "boolean") return text == "t" || text == "true";
    std::int64_t whole = 0;
    double number = 0;
    const absl::string_view digits(text.data(), text.size());
    // A sum of bigint is numeric: as a double it would lose its last digits.
    const bool may_be_whole = type == "integer" || type == "number";
    if (may_be_whole && absl::SimpleAtoi(digits, &whole)) return whole;
    if (type == "number" && absl::SimpleAtod(digits, &number) && number - number == 0)
      return number;
    return Cleaned(text, limits_.cell_bytes);
  }

  // Oids of built-in types never change: pg_type.dat.
  static std::string TypeName(Oid type) {
    switch (type) {
      case 16:
        return "boolean";
      case 20:
      case 21:
      case 23:
        return "integer";
      case 700:
      case 701:
      case 1700:
        return "number";
      case 1114:
      case 1184:
        return "timestamp";
      case 2950:
        return "uuid";
      case 114:
      case 3802:
        return "json";
      default:
        return "text";
    }
  }

  pg::Result Answered(int is_sent) const {
    return is_sent == 1 ? pg::Await(connection_, given_up_) : nullptr;
  }

  absl::Status Failed(const PGresult* result) const {
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return absl::OkStatus();
    const char* code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (result == nullptr && PQstatus(connection_) == CONNECTION_OK) {
      return absl::DeadlineExceededError("the database does not answer");
    }
    if (PQstatus(connection_) != CONNECTION_OK || code == nullptr) {
      return absl::UnavailableError(pg::OneLine(PQerrorMessage(connection_)));
    }
    return absl::InternalError(absl::StrCat(message != nullptr ? message : "", " [", code, "]"));
  }

  PGconn* const connection_;
  const QueryLimits limits_;
  const Clock::time_point end_;
  const Clock::time_point given_up_;  // where not even the server's own time limit is heard of
  pg::Result described_;
  std::size_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<Json> RunQuery(const std::string& conninfo, const std::string& query,
                              std::optional<std::int64_t> execution_id, const QueryLimits& limits) {
  // Of its own and closed afterwards: nothing that a query leaves in a session outlives it.
  const absl::StatusOr<pg::Connection> connection = pg::Connect(conninfo, "spanring query");
  if (!connection.ok()) return connection.status();
  if (absl::Status status = CheckLogin(connection->get(), limits); !status.ok()) return status;
  absl::StatusOr<Json> answer = Run(connection->get(), limits).Answer(query, execution_id);
  if (absl::IsInvalidArgument(answer.status())) return answer.status();
  if (!answer.ok()) return Said(answer.status(), limits);
  return answer;
}

}  // namespace spanring::mcp
