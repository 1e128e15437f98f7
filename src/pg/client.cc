#include "pg/client.h"

#include "absl/strings/str_cat.h"

namespace spanring::pg {
namespace {

absl::Status ResultError(PGconn* connection, const PGresult* result) {
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (PQstatus(connection) != CONNECTION_OK || sqlstate == nullptr) {
    return absl::UnavailableError(OneLine(PQerrorMessage(connection)));
  }
  return absl::InternalError(absl::StrCat(OneLine(primary ? primary : ""), " [", sqlstate, "]"));
}

bool Succeeded(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
}

}  // namespace

absl::StatusOr<Connection> Connect(const std::string& conninfo,
                                   const std::string& application_name) {
  if (const std::string_view fault = FaultOf(conninfo); !fault.empty()) {
    return absl::UnavailableError(std::string(fault));
  }
  // The first entry may be a whole connection string or URL; what follows overrides it.
  const char* const keywords[] = {"dbname", "fallback_application_name", "client_encoding",
                                  nullptr};
  const char* const values[] = {conninfo.c_str(), application_name.c_str(), "UTF8", nullptr};
  Connection connection(PQconnectdbParams(keywords, values, /*expand_dbname=*/1));
  if (connection == nullptr) return absl::ResourceExhaustedError("libpq: out of memory");
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    return absl::UnavailableError(OneLine(PQerrorMessage(connection.get())));
  }
  PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
  return connection;
}

absl::StatusOr<Result> Query(PGconn* connection, const std::string& sql,
                             const std::vector<Parameter>& parameters) {
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const Parameter& parameter : parameters) {
    values.push_back(parameter ? parameter->c_str() : nullptr);
  }
  Result result(PQexecParams(connection, sql.c_str(), static_cast<int>(values.size()), nullptr,
                             values.data(), nullptr, nullptr, /*resultFormat=*/0));
  if (!Succeeded(result.get())) return ResultError(connection, result.get());
  return result;
}

absl::Status Execute(PGconn* connection, const std::string& sql) {
  const Result result(PQexec(connection, sql.c_str()));
  if (!Succeeded(result.get())) return ResultError(connection, result.get());
  return absl::OkStatus();
}

std::string_view SqlState(const absl::Status& status) {
  const std::string_view message(status.message().data(), status.message().size());
  if (message.size() < 7 || message.back() != ']' || message[message.size() - 7] != '[') return {};
  return message.substr(message.size() - 6, 5);
}

std::string_view Cell(const PGresult* result, int row, int column) {
  return {PQgetvalue(result, row, column),
          static_cast<std::size_t>(PQgetlength(result, row, column))};
}

}  // namespace spanring::pg
