#include "pg/client.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace spanring::pg {
namespace {

constexpr char kConnectTimeoutS[] = "10";

absl::Status ResultError(PGconn* connection, const PGresult* result) {
  if (result == nullptr && PQstatus(connection) == CONNECTION_OK && IsStuck(connection)) {
    return absl::DeadlineExceededError("the database does not answer");
  }
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

// False when `deadline` came first.
bool IsReadable(PGconn* connection, Deadline deadline) {
  using std::chrono::milliseconds;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left <= milliseconds(0)) return false;
    pollfd fd = {.fd = PQsocket(connection), .events = POLLIN, .revents = 0};
    const auto wait_ms = std::min<std::int64_t>(left.count(), 600'000);
    if (poll(&fd, 1, static_cast<int>(wait_ms)) > 0) return true;
  }
}

}  // namespace

absl::StatusOr<Connection> Connect(const std::string& conninfo,
                                   const std::string& application_name) {
  if (const std::string_view fault = FaultOf(conninfo); !fault.empty()) {
    return absl::UnavailableError(std::string(fault));
  }
  // The entry `dbname` may be a whole connection string or URL: what stands before it is a default,
  // what follows overrides it.
  const char* const patience = std::getenv("PGCONNECT_TIMEOUT");
  const char* const keywords[] = {"connect_timeout", "dbname", "fallback_application_name",
                                  "client_encoding", nullptr};
  const char* const values[] = {patience != nullptr ? patience : kConnectTimeoutS, conninfo.c_str(),
                                application_name.c_str(), "UTF8", nullptr};
  Connection connection(PQconnectdbParams(keywords, values, /*expand_dbname=*/1));
  if (connection == nullptr) return absl::ResourceExhaustedError("libpq: out of memory");
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    return absl::UnavailableError(OneLine(PQerrorMessage(connection.get())));
  }
  PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
  return connection;
}

absl::StatusOr<Result> Query(PGconn* connection, const std::string& sql,
                             const std::vector<Parameter>& parameters, Deadline deadline) {
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const Parameter& parameter : parameters) {
    values.push_back(parameter ? parameter->c_str() : nullptr);
  }
  const int count = static_cast<int>(values.size());
  Result result;
  if (deadline == Deadline::max()) {
    result.reset(PQexecParams(connection, sql.c_str(), count, nullptr, values.data(), nullptr,
                              nullptr, /*resultFormat=*/0));
  } else if (PQsendQueryParams(connection, sql.c_str(), count, nullptr, values.data(), nullptr,
                               nullptr, /*resultFormat=*/0) == 1) {
    result = Await(connection, deadline);
  }
  if (!Succeeded(result.get())) return ResultError(connection, result.get());
  return result;
}

absl::Status Execute(PGconn* connection, const std::string& sql, Deadline deadline) {
  Result result;
  if (deadline == Deadline::max()) {
    result.reset(PQexec(connection, sql.c_str()));
  } else if (PQsendQuery(connection, sql.c_str()) == 1) {
    result = Await(connection, deadline);
  }
  if (!Succeeded(result.get())) return ResultError(connection, result.get());
  return absl::OkStatus();
}

Result Await(PGconn* connection, Deadline deadline) {
  Result answer;
  for (;;) {
    while (PQisBusy(connection) == 1) {
      if (!IsReadable(connection, deadline)) return nullptr;
      if (PQconsumeInput(connection) == 0) break;  // PQgetResult says why.
    }
    Result next(PQgetResult(connection));
    if (next == nullptr) return answer;
    if (answer == nullptr || Succeeded(answer.get())) answer = std::move(next);
  }
}

bool IsStuck(const PGconn* connection) {
  return PQstatus(connection) != CONNECTION_OK || PQtransactionStatus(connection) == PQTRANS_ACTIVE;
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
