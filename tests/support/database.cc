#include "support/database.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "schema/migrator.h"

namespace spanring::test {
namespace {

[[noreturn]] void Fail(const std::string& what) { throw std::runtime_error(what); }

std::string ServerFromEnvironment() {
  const char* server = std::getenv("SPANRING_TEST_DATABASE_URL");
  if (server == nullptr || *server == '\0') {
    Fail(
        "SPANRING_TEST_DATABASE_URL is not set: run `./run test`, which starts a server and sets"
        " it, or set it to a server whose role may create databases");
  }
  return server;
}

pg::Connection ConnectOrFail(const std::string& conninfo) {
  auto connection = pg::Connect(conninfo, "spanring test");
  if (!connection.ok()) Fail(std::string(connection.status().message()));
  return *std::move(connection);
}

std::string UniqueName() {
  static std::atomic<int> counter{0};
  return absl::StrCat("spanring_test_", getpid(), "_", counter.fetch_add(1));
}

std::string Quoted(const std::string& value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + "'";
}

// The server's settings with another database name, whichever form they came in.
std::string WithDatabase(const std::string& server, const std::string& name) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(server.c_str(), &error), &PQconninfoFree);
  if (options == nullptr) {
    const std::string message = error == nullptr ? "out of memory" : error;
    PQfreemem(error);
    Fail(absl::StrCat("SPANRING_TEST_DATABASE_URL: ", message));
  }
  std::string conninfo = absl::StrCat("dbname=", Quoted(name));
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    const std::string keyword = option->keyword;
    if (option->val == nullptr || keyword == "dbname") continue;
    absl::StrAppend(&conninfo, " ", keyword, "=", Quoted(option->val));
  }
  return conninfo;
}

}  // namespace

TestDatabase::TestDatabase(Schema schema)
    : server_(ServerFromEnvironment()),
      name_(UniqueName()),
      conninfo_(WithDatabase(server_, name_)) {
  const pg::Connection server = ConnectOrFail(server_);
  // A process with the same id may have died before it could clean up.
  for (const std::string& sql : {absl::StrCat("DROP DATABASE IF EXISTS ", name_, " WITH (FORCE)"),
                                 absl::StrCat("CREATE DATABASE ", name_, " TEMPLATE template0")}) {
    const absl::Status status = pg::Execute(server.get(), sql);
    if (!status.ok()) Fail(absl::StrCat(sql, ": ", status.message()));
  }
  connection_ = Connect();
  Run("REVOKE CREATE ON SCHEMA public FROM PUBLIC");  // PostgreSQL 15 and later have it so.
  if (schema == Schema::kMigrated) {
    const auto report = schema::Up(connection());
    if (!report.ok()) Fail(report.status().ToString());
  }
}

TestDatabase::~TestDatabase() {
  connection_.reset();
  const auto server = pg::Connect(server_, "spanring test");
  if (!server.ok()) return;  // the server is gone, and the database with it
  const absl::Status dropped =
      pg::Execute(server->get(), absl::StrCat("DROP DATABASE IF EXISTS ", name_, " WITH (FORCE)"));
  EXPECT_TRUE(dropped.ok()) << dropped;
}

pg::Connection TestDatabase::Connect() const { return ConnectOrFail(conninfo_); }

void TestDatabase::Run(const std::string& sql) const {
  const absl::Status status = pg::Execute(connection(), sql);
  if (!status.ok()) Fail(absl::StrCat(status.message(), "\nin: ", sql));
}

std::vector<std::vector<std::string>> TestDatabase::Rows(
    const std::string& sql, const std::vector<pg::Parameter>& parameters) const {
  const auto result = pg::Query(connection(), sql, parameters);
  if (!result.ok()) Fail(absl::StrCat(result.status().message(), "\nin: ", sql));
  std::vector<std::vector<std::string>> rows(PQntuples(result->get()));
  for (int row = 0; row < PQntuples(result->get()); ++row) {
    for (int column = 0; column < PQnfields(result->get()); ++column) {
      rows[row].emplace_back(PQgetisnull(result->get(), row, column)
                                 ? "<null>"
                                 : std::string(pg::Cell(result->get(), row, column)));
    }
  }
  return rows;
}

std::string TestDatabase::Value(const std::string& sql,
                                const std::vector<pg::Parameter>& parameters) const {
  const auto rows = Rows(sql, parameters);
  if (rows.size() != 1 || rows.front().size() != 1) {
    Fail(absl::StrCat("expected one value, got ", rows.size(), " rows\nin: ", sql));
  }
  return rows.front().front();
}

}  // namespace spanring::test
