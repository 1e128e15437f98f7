// Faults of the server: full, locked, slow by order, and rights that come and go.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"
#include "fault/faulty_proxy.h"
#include "support/database.h"

namespace spanring::test {
namespace {

// A batch sets a limit of its own in its first statement, so the role's may be shorter.
void ExpectSlowBatchArrives(const std::string& conninfo, PGconn* admin, const std::string& limit) {
  RunSql(admin, "ALTER ROLE traced SET statement_timeout = '" + limit + "'");
  // Each row takes long enough for a batch of them to take far longer than the limit.
  RunSql(admin,
         "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
         " 'BEGIN PERFORM pg_sleep(0.001); RETURN NEW; END';"
         "CREATE TRIGGER slow BEFORE INSERT ON trace_spans FOR EACH ROW EXECUTE FUNCTION slow()");
  RunningTracer tracer(conninfo);
  tracer.Record(300);
  ExpectAllArrived(admin, tracer, 300);
}

class Server : public testing::Test {
 protected:
  Server() { Migrate(server_->conninfo()); }
  // A role without rights of its own but those of a writer.
  std::string AsWriter() {
    RunSql(admin_.get(), "CREATE ROLE traced LOGIN IN ROLE spanring_writer");
    return server_->conninfo() + " user=traced";
  }

  // Three places are the superuser's.
  dev::TemporaryServer server_ =
      OwnServer({}, {"max_connections = 8", "superuser_reserved_connections = 3"});
  const pg::Connection admin_ = ConnectTo(server_->conninfo());
};

TEST_F(Server, OutOfConnectionsAndFreeAgain) {
  const std::string conninfo = AsWriter();
  std::vector<pg::Connection> crowd;
  for (auto one = pg::Connect(conninfo, "crowd"); one.ok(); one = pg::Connect(conninfo, "crowd")) {
    crowd.push_back(*std::move(one));
  }
  ASSERT_GE(crowd.size(), 3U);
  RunningTracer tracer(conninfo);
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("connection slots are reserved") > 0; }));
  EXPECT_EQ(tracer.Counted().journalled, 1000U);
  crowd.clear();
  ExpectAllArrived(admin_.get(), tracer, 1000);
}

TEST_F(Server, RightsTakenAndGivenBackAmid) {
  RunningTracer tracer(AsWriter());
  tracer.Record(1000);
  ASSERT_TRUE(tracer.Flush().ok());
  RunSql(admin_.get(), "REVOKE spanring_writer FROM traced");
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("grant the role spanring_writer") > 0; }));
  EXPECT_GE(LinesWith("[42501]"), 1);
  EXPECT_EQ(tracer.Counted().journalled, 1000U);
  RunSql(admin_.get(), "GRANT spanring_writer TO traced");
  ExpectAllArrived(admin_.get(), tracer, 2000);
}

TEST_F(Server, TheRoleMayNotLogInAndMayAgain) {
  const std::string conninfo = AsWriter();
  RunSql(admin_.get(), "ALTER ROLE traced NOLOGIN");
  RunningTracer tracer(conninfo);
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("not permitted to log in") > 0; }));
  RunSql(admin_.get(), "ALTER ROLE traced LOGIN");
  ExpectAllArrived(admin_.get(), tracer, 1000);
}

TEST_F(Server, AStatementTimeoutOfTheRoleThatIsShorterThanABatch) {
  ExpectSlowBatchArrives(AsWriter(), admin_.get(), "50ms");
}

// What comes before the first batch, the row in trace_writers, has the role's limit.
TEST_F(Server, AStatementTimeoutOfTheRoleThatIsShorterThanAnything) {
  ExpectSlowBatchArrives(AsWriter(), admin_.get(), "1ms");
}

TEST_F(Server, ALockThatHoldsUpTheBatch) {
  const pg::Connection other = ConnectTo(server_->conninfo());
  RunningTracer tracer(server_->conninfo(), [](Options& o) { o.batch_timeout_ms = 700; });
  tracer.Record(10);
  ASSERT_TRUE(tracer.Flush().ok());
  RunSql(other.get(), "BEGIN; LOCK TABLE trace_spans IN ACCESS EXCLUSIVE MODE");
  tracer.Record(1000);
  EXPECT_TRUE(absl::IsDeadlineExceeded(tracer->Flush(absl::Milliseconds(500))));
  EXPECT_TRUE(Eventually(
      [] { return LinesWith("[57014]") + LinesWith("no answer from the server in time") > 0; }));
  EXPECT_EQ(tracer.Counted().journalled, 1000U);
  RunSql(other.get(), "COMMIT");
  ExpectAllArrived(admin_.get(), tracer, 1010);
}

TEST_F(Server, ALockAtTheEndKeepsTheDeadlines) {
  const pg::Connection other = ConnectTo(server_->conninfo());
  RunningTracer tracer(server_->conninfo());
  tracer.Record(10);
  ASSERT_TRUE(tracer.Flush().ok());
  RunSql(other.get(), "BEGIN; LOCK TABLE trace_spans IN ACCESS EXCLUSIVE MODE");
  tracer.Record(1000);
  ExpectDeadlinesKept(tracer, 1000);
}

// A URL with a password, towards who listens not, who resets, and who refuses the password.
TEST_F(Server, NoSecretOfAUrlIsLoggedOrStored) {
  std::random_device random;
  const std::string secret = absl::StrCat("s3cret", random(), random());
  const std::string other = absl::StrCat("0ther", random(), random());
  RunSql(admin_.get(),
         "CREATE ROLE traced LOGIN PASSWORD '" + secret + "' IN ROLE spanring_writer");
  dev::TemporaryServer strict = OwnServer({"local all traced scram-sha-256"});
  Migrate(strict->conninfo());
  const pg::Connection admin = ConnectTo(strict->conninfo());
  RunSql(admin.get(), "CREATE ROLE traced LOGIN PASSWORD '" + other + "' IN ROLE spanring_writer");
  FaultyProxy proxy(strict->socket_folder() + "/.s.PGSQL.5432", FaultyProxy::Door::kTcp);
  proxy.SetMode(FaultyProxy::Mode::kRefuse);
  RunningTracer tracer(absl::StrCat("postgresql://traced:", secret, "@127.0.0.1:", proxy.port(),
                                    "/postgres?password=", secret));
  tracer.Record(100);
  std::uint64_t failures = 0;
  for (const auto mode : {FaultyProxy::Mode::kReset, FaultyProxy::Mode::kPass}) {
    EXPECT_TRUE(Eventually([&] { return tracer.Counted().persist_failures > failures; }));
    failures = tracer.Counted().persist_failures;
    proxy.SetMode(mode);
  }
  EXPECT_TRUE(Eventually([] { return LinesWith("password authentication failed") > 0; }));
  RunSql(admin.get(), "ALTER ROLE traced PASSWORD '" + secret + "'");
  ExpectAllArrived(admin.get(), tracer, 100);
  proxy.SetMode(FaultyProxy::Mode::kRefuse);  // Its door was closed when the tracer came.
  EXPECT_GE(LinesWith("failed to persist"), 1);
  EXPECT_EQ(LinesWith(secret), 0);
  for (const std::string table : {"trace_writers", "trace_spans", "trace_batches"}) {
    EXPECT_EQ(NumberOf(admin.get(), absl::StrCat("SELECT count(*) FROM ", table, " AS r WHERE",
                                                 " r::text LIKE '%", secret, "%'")),
              0);
  }
}

}  // namespace
}  // namespace spanring::test
