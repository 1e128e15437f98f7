// The database away, wrong, half ready, refusing, dying: spans wait and arrive once, or are
// counted.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "dev/process.h"
#include "e2e/harness.h"
#include "support/database.h"

namespace spanring::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Outage, NoDatabaseAtStartSpansWaitAndArrive) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  ASSERT_TRUE(server->Stop().ok());
  RunningTracer tracer(server->conninfo());
  tracer.Record(1000);
  EXPECT_TRUE(absl::IsDeadlineExceeded(tracer->Flush(absl::Milliseconds(200))));
  EXPECT_TRUE(Eventually([] { return LinesWith("failed to persist trace span") > 0; }));
  EXPECT_EQ(tracer.Counted().persisted, 0U);
  ASSERT_TRUE(server->Start().ok());
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_EQ(tracer.Counted().persisted, 1000U);
  EXPECT_EQ(LinesWith("the database takes trace spans again"), 1);
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(ConnectTo(server->conninfo()).get(), tracer);
}

TEST(Outage, WrongPasswordIsLoggedWithoutItAndSpansArriveOnceItIsRight) {
  dev::TemporaryServer server = OwnServer({"local all traced scram-sha-256"});
  Migrate(server->conninfo());
  const pg::Connection admin = ConnectTo(server->conninfo());
  std::random_device random;
  const std::string right = absl::StrCat("r", random(), random());
  const std::string wrong = absl::StrCat("w", random(), random());
  ASSERT_TRUE(
      pg::Execute(admin.get(), "CREATE ROLE traced LOGIN SUPERUSER PASSWORD '" + right + "'").ok());
  RunningTracer tracer(absl::StrCat(server->conninfo(), " user=traced password=", wrong));
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("password authentication failed") > 0; }));
  EXPECT_EQ(LinesWith("failed to persist trace span"), LinesWith("password authentication failed"));
  EXPECT_EQ(LinesWith(wrong), 0);
  EXPECT_EQ(tracer.Counted().journalled, 1000U);
  EXPECT_EQ(tracer.Counted().dropped, 0U);
  // The operator makes it right at the server; the tracer tries on.
  ASSERT_TRUE(pg::Execute(admin.get(), "ALTER ROLE traced PASSWORD '" + wrong + "'").ok());
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(admin.get(), tracer);
}

TEST(Outage, WrongPasswordUntilShutdownIsCounted) {
  dev::TemporaryServer server = OwnServer({"local all traced scram-sha-256"});
  const pg::Connection admin = ConnectTo(server->conninfo());
  ASSERT_TRUE(pg::Execute(admin.get(), "CREATE ROLE traced LOGIN").ok());
  RunningTracer tracer(absl::StrCat(server->conninfo(), " user=traced password=none"));
  tracer.Record(100);
  EXPECT_TRUE(absl::IsDeadlineExceeded(tracer->Shutdown(absl::Milliseconds(300))));
  EXPECT_EQ(Dropped(tracer, DropReason::kShutdown), 100U);
  ExpectIdentity(tracer.Counted());
}

TEST(Outage, MissingSchemaIsNamedAndSpansArriveOnceItIsThere) {
  const TestDatabase database(TestDatabase::Schema::kEmpty);
  RunningTracer tracer(database.conninfo());
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("run: spanring migrate") > 0; }));
  EXPECT_GE(LinesWith("[42883]"), 1);
  Migrate(database.conninfo());
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(database.connection(), tracer);
}

TEST(Outage, MissingRightsAreNamedAndTheWriterRoleSuffices) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  const pg::Connection admin = ConnectTo(server->conninfo());
  ASSERT_TRUE(pg::Execute(admin.get(), "CREATE ROLE traced LOGIN").ok());
  RunningTracer tracer(server->conninfo() + " user=traced");
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("grant the role spanring_writer") > 0; }));
  EXPECT_GE(LinesWith("[42501]"), 1);
  ASSERT_TRUE(pg::Execute(admin.get(), "GRANT spanring_writer TO traced").ok());
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(admin.get(), tracer);
}

TEST(Outage, WhereTheServerAllowsOneConnectionOneTakesAll) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  const pg::Connection admin = ConnectTo(server->conninfo());
  RunSql(admin.get(), "CREATE ROLE lonely LOGIN CONNECTION LIMIT 1 IN ROLE spanring_writer");
  ClearLog();
  RunningTracer tracer(server->conninfo() + " user=lonely", [](Options& o) {
    o.batch_rows = 100;
    o.shippers = 3;
    o.ring_bytes = 16 << 20;
  });
  // So that batches queue, and the others want to help.
  for (int i = 0; i < 10; ++i) tracer.Record(1000);
  EXPECT_TRUE(tracer.Flush().ok());
  EXPECT_EQ(tracer.Counted().persisted, 10'000U);
  EXPECT_EQ(LinesWith("failed to persist trace span"), 0) << "nothing failed";
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(admin.get(), tracer);
}

TEST(Outage, ManyConnectionsSayOnceThatTheDatabaseIsAway) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  ClearLog();
  RunningTracer tracer(server->conninfo(), [](Options& o) {
    o.batch_rows = 100;
    o.shippers = 3;
    o.ring_bytes = 16 << 20;
  });
  for (int i = 0; i < 10; ++i) tracer.Record(1000);
  EXPECT_TRUE(tracer.Flush().ok());
  ASSERT_TRUE(server->Stop().ok());
  tracer.Record(5000);
  EXPECT_TRUE(Eventually([] { return LinesWith("failed to persist trace span") > 0; }));
  ASSERT_TRUE(server->Start().ok());
  EXPECT_TRUE(tracer.Flush().ok());
  EXPECT_EQ(LinesWith("the database takes trace spans again"), 1);
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(ConnectTo(server->conninfo()).get(), tracer);
}

TEST(Outage, ReadOnlyDatabaseIsNamedAndSpansArriveOnceItIsNot) {
  const TestDatabase database;
  database.Run("ALTER DATABASE " + database.name() + " SET default_transaction_read_only = on");
  RunningTracer tracer(database.conninfo());
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("the server is read-only") > 0; }));
  EXPECT_GE(LinesWith("[25006]"), 1);
  database.Run("ALTER DATABASE " + database.name() + " RESET default_transaction_read_only");
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(database.connection(), tracer);
}

TEST(Outage, KilledServerGetsEverySpanOnce) {
  // Without it the server itself forgets, when killed, what it had committed.
  dev::TemporaryServer server = OwnServer({}, {"synchronous_commit = on"});
  Migrate(server->conninfo());
  RunningTracer tracer(server->conninfo(), [](Options& o) {
    o.batch_rows = 500;
    o.flush_interval_ms = 5;
  });
  const int spans = static_cast<int>(200'000 * Scale());
  std::thread program([&] {
    for (int done = 0; done < spans; done += 100) {
      tracer.Record(100);
      std::this_thread::sleep_for(milliseconds(2));
    }
  });
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(milliseconds(700));
    EXPECT_TRUE(server->Kill().ok());
    const absl::Status started = server->Start();
    EXPECT_TRUE(started.ok()) << started;
  }
  program.join();
  const absl::Status flushed = tracer.Flush(120);
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(tracer.Counted().dropped, 0U);
  ExpectDatabaseAgrees(ConnectTo(server->conninfo()).get(), tracer);
}

TEST(Outage, FullJournalDropsAndTheDatabaseSaysSo) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  ASSERT_TRUE(server->Stop().ok());
  RunningTracer tracer(server->conninfo(), [](Options& o) { o.journal_bytes = 1 << 20; });
  for (int i = 0; i < 200; ++i) {
    tracer.Record(100);
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_TRUE(Eventually([&] { return Dropped(tracer, DropReason::kJournalFull) > 0; }));
  ExpectIdentity(tracer.Counted());
  ASSERT_TRUE(server->Start().ok());
  EXPECT_TRUE(tracer.Flush().ok());  // All that was dropped was dropped before.
  const pg::Connection reader = ConnectTo(server->conninfo());
  // While the tracer runs: nobody has to end a program to see what it lost.
  const std::uint64_t dropped = Tracer().GetStats().dropped;
  EXPECT_TRUE(Eventually([&] {
    return ValueOf(reader.get(), "SELECT spans_dropped FROM trace_spans_health") ==
           std::to_string(dropped);
  }));
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(reader.get(), tracer);
}

TEST(Outage, RefusedRowIsDroppedAloneAndTheRestArrives) {
  const TestDatabase database;
  database.Run("ALTER TABLE trace_spans ADD CONSTRAINT no_curses CHECK (operation <> 'curse')");
  RunningTracer tracer(database.conninfo());
  tracer.Record(1234);
  tracer.Record(1, "curse");
  tracer.Record(777);
  tracer.Record(2, "curse");
  tracer.Record(10);
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(absl::IsDataLoss(flushed)) << flushed;
  EXPECT_EQ(Dropped(tracer, DropReason::kRejected), 3U);
  EXPECT_EQ(tracer.Counted().persisted, 1234U + 777 + 10);
  EXPECT_GE(LinesWith("refused a row"), 1);
  EXPECT_GE(LinesWith("[23514]"), 1);
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(database.connection(), tracer);
}

TEST(Outage, BackendsThatDieAtAnyMomentLoseAndDoubleNothing) {
  const TestDatabase database;
  RunningTracer tracer(database.conninfo(), [](Options& o) {
    o.batch_rows = 50;
    o.flush_interval_ms = 2;
    o.retry_max_ms = 20;
  });
  std::mt19937_64 random(Seed());
  std::atomic<bool> stop{false};
  std::thread program([&] {
    while (!stop) {
      tracer.Record(10);
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  std::int64_t killed = 0;
  const int rounds = static_cast<int>(200 * Scale()) + 10;
  for (int i = 0; i < rounds; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 100'000));
    killed += NumberOf(database.connection(),
                       "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                       " WHERE datname = current_database() AND application_name = 'spanring'");
  }
  stop = true;
  program.join();
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_TRUE(tracer.Shutdown().ok());
  std::printf("%lld backends killed, %llu spans\n", static_cast<long long>(killed),
              static_cast<unsigned long long>(tracer.Counted().started));
  EXPECT_GT(killed, 0);
  EXPECT_EQ(tracer.Counted().dropped, 0U);
  ExpectDatabaseAgrees(database.connection(), tracer);
}

// Signals the postmaster and its processes, all of which this test has started.
void SignalServer(const dev::PrivateServer& server, int signal_number) {
  for (const pid_t child : dev::ChildrenOf(server.pid())) kill(child, signal_number);
  kill(server.pid(), signal_number);
}

TEST(Outage, FlushAndShutdownKeepTheirDeadlinesWhileTheServerIsFrozen) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  RunningTracer tracer(server->conninfo());
  tracer.Record(10);
  ASSERT_TRUE(tracer.Flush().ok());
  SignalServer(*server, SIGSTOP);
  tracer.Record(1000);
  ExpectDeadlinesKept(tracer, 1000);
  SignalServer(*server, SIGCONT);
}

TEST(Outage, FrozenServerThatThawsGetsEverySpanOnce) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  RunningTracer tracer(server->conninfo(), [](Options& o) {
    o.batch_timeout_ms = 300;
    o.connect_timeout_ms = 300;
  });
  tracer.Record(10);
  ASSERT_TRUE(tracer.Flush().ok());
  SignalServer(*server, SIGSTOP);
  tracer.Record(1000);
  EXPECT_TRUE(Eventually([] { return LinesWith("no answer from the server in time") > 0; }));
  SignalServer(*server, SIGCONT);
  const absl::Status flushed = tracer.Flush();
  EXPECT_TRUE(flushed.ok()) << flushed;
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(ConnectTo(server->conninfo()).get(), tracer);
}

std::int64_t TracerConnections(const TestDatabase& database) {
  return NumberOf(database.connection(),
                  "SELECT count(*) FROM pg_stat_activity"
                  " WHERE datname = current_database() AND application_name = 'spanring'");
}

TEST(Outage, IdleTracerLeavesTheDatabaseAndComesBack) {
  const TestDatabase database;
  RunningTracer tracer(database.conninfo(), [](Options& o) { o.idle_disconnect_ms = 300; });
  for (int round = 1; round <= 3; ++round) {
    tracer.Record(10);
    EXPECT_TRUE(tracer.Flush().ok());
    EXPECT_TRUE(Eventually([&] { return TracerConnections(database) == 0; })) << round;
    EXPECT_EQ(tracer.Counted().persisted, 10U * round);
  }
  EXPECT_TRUE(tracer.Shutdown().ok());
  EXPECT_EQ(LinesWith("failed to persist"), 0);
  ExpectDatabaseAgrees(database.connection(), tracer);
}

TEST(Outage, ConnectionClosedWhileIdleIsNoFailure) {
  const TestDatabase database;
  RunningTracer tracer(database.conninfo());
  for (int round = 1; round <= 2; ++round) {
    tracer.Record(10);
    EXPECT_TRUE(tracer.Flush().ok());
    EXPECT_EQ(NumberOf(database.connection(),
                       "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity"
                       " WHERE datname = current_database() AND application_name = 'spanring'"),
              1);
    std::this_thread::sleep_for(milliseconds(1200));
  }
  tracer.Record(10);
  EXPECT_TRUE(tracer.Flush().ok());
  EXPECT_EQ(LinesWith("failed to persist"), 0);
  EXPECT_TRUE(tracer.Shutdown().ok());
  ExpectDatabaseAgrees(database.connection(), tracer);
}

}  // namespace
}  // namespace spanring::test
