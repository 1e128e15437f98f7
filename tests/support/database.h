// A database of its own for each test, on the server that ./run test starts.
// Threads: one object belongs to one thread; any number of them may exist at once.
// Memory: owns its connection; the database is dropped with the object.
// Errors: a failure of set-up throws, which GoogleTest reports as the test's failure.
// Design: docs/architecture.md
#pragma once

#include <string>
#include <vector>

#include "pg/client.h"

namespace spanring::test {

class TestDatabase {
 public:
  enum class Schema { kEmpty, kMigrated };

  // Creates a database with a unique name on the server of SPANRING_TEST_DATABASE_URL, a libpq
  // connection string or URL whose role may create databases.
  explicit TestDatabase(Schema schema = Schema::kMigrated);
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  // For libpq, the programs under test, and DATABASE_URL.
  [[nodiscard]] const std::string& conninfo() const { return conninfo_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] PGconn* connection() const { return connection_.get(); }

  // Another connection to the same database.
  [[nodiscard]] pg::Connection Connect() const;

  // Runs statements; a failure is the test's failure.
  void Run(const std::string& sql) const;

  // The rows of a query as text, SQL NULL as "<null>".
  [[nodiscard]] std::vector<std::vector<std::string>> Rows(
      const std::string& sql, const std::vector<pg::Parameter>& parameters = {}) const;

  // The only cell of a query that yields one row of one column.
  [[nodiscard]] std::string Value(const std::string& sql,
                                  const std::vector<pg::Parameter>& parameters = {}) const;

 private:
  std::string server_;
  std::string name_;
  std::string conninfo_;
  pg::Connection connection_;
};

}  // namespace spanring::test
