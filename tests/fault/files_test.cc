// The folders of a process: what they hold, when they go, and what happens where they cannot be
// written.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"
#include "fault/traced_child.h"
#include "support/database.h"

namespace spanring::test {
namespace {

namespace fs = std::filesystem;
using Shared = TracedChild::Shared;
using Say = std::function<void()>;

// No faster than the rings are emptied.
void Record(Tracer& tracer, int count) {
  for (int i = 0; i < count; ++i) {
    tracer.StartSpan("fault", "step").Complete();
    if (i % 1000 == 999) usleep(5000);
  }
}

// On a crowded machine a ring may be full; whatever else is lost is not counted so.
std::int64_t RowsAndFullRings(PGconn* connection) {
  return NumberOf(connection,
                  "SELECT count(DISTINCT span_id) + (SELECT coalesce(sum("
                  "(drops->>'ring_full')::bigint), 0) FROM trace_writers)"
                  " FROM trace_spans");
}

std::int64_t Rows(const TestDatabase& database) {
  return NumberOf(database.connection(), "SELECT count(*) FROM trace_spans");
}

TEST(Files, AProcessThatEndsInOrderLeavesNone) {
  const TestDatabase database;
  const WriterFolders folders;
  TracedChild child(folders.OptionsFor(database.conninfo()),
                    [](Tracer& tracer, Shared, const Say&) -> int {
                      Record(tracer, 1000);
                      return 0;
                    });
  EXPECT_EQ(child.Join(), 0);
  EXPECT_EQ(Rows(database), 1000);
  EXPECT_EQ(folders.Left(), 0U);
}

TEST(Files, WhatAShutdownCouldNotDeliverStaysForTheNextProcess) {
  const TestDatabase database;
  const WriterFolders folders;
  Options options = folders.OptionsFor(database.conninfo());
  const std::string there = options.database_url;
  database.Run("ALTER TABLE trace_batches RENAME TO gone");
  TracedChild child(options, [](Tracer& tracer, Shared shared, const Say&) -> int {
    Record(tracer, 1000);
    const absl::Status status = tracer.Shutdown(absl::Milliseconds(300));
    shared[0] = tracer.GetStats().dropped;
    shared[1] = tracer.GetStats().journalled;
    return absl::IsDeadlineExceeded(status) ? 0 : 1;
  });
  EXPECT_EQ(child.Join(), 0);
  EXPECT_EQ(child.shared()[0], 0U);
  EXPECT_EQ(child.shared()[1], 1000U);
  EXPECT_GT(folders.Left(), 0U);
  database.Run("ALTER TABLE gone RENAME TO trace_batches");
  RecoverAll(options);
  EXPECT_EQ(Rows(database), 1000);
  EXPECT_EQ(folders.Left(), 0U);
}

TEST(Files, AShutdownAndAStartInOneProcessGoOnWithTheJournal) {
  const TestDatabase database;
  const WriterFolders folders;
  const Options options = folders.OptionsFor(database.conninfo());
  database.Run("ALTER TABLE trace_batches RENAME TO gone");
  TracedChild child(options, [&](Tracer& tracer, Shared shared, const Say& say) -> int {
    Record(tracer, 700);
    tracer.Shutdown(absl::Milliseconds(200)).IgnoreError();
    say();
    while (*const_cast<volatile std::uint64_t*>(shared) == 0) usleep(1000);
    if (!Tracer::Start(options).ok()) return 2;
    Record(tracer, 50);
    return tracer.Shutdown(absl::Seconds(60)).ok() && tracer.GetStats().persisted == 750 ? 0 : 3;
  });
  child.Await();
  database.Run("ALTER TABLE gone RENAME TO trace_batches");
  *const_cast<volatile std::uint64_t*>(child.shared()) = 1;
  EXPECT_EQ(child.Join(), 0);
  EXPECT_EQ(Rows(database), 750);
  EXPECT_EQ(folders.Left(), 0U);
}

// A file may not grow beyond a few frames (ulimit -f), and SIGXFSZ would end the process.
TEST(Files, ALimitOnFileSizesCostsNoSpan) {
  const TestDatabase database;
  const WriterFolders folders;
  TracedChild child(folders.OptionsFor(database.conninfo()),
                    [](Tracer& tracer, Shared, const Say&) -> int {
                      const rlimit limit{4096, 4096};
                      setrlimit(RLIMIT_FSIZE, &limit);
                      std::vector<std::thread> threads;
                      for (int t = 0; t < 3; ++t) {
                        threads.emplace_back([&] { Record(tracer, 10'000); });
                      }
                      for (std::thread& thread : threads) thread.join();
                      return tracer.Shutdown(absl::Seconds(60)).ok() ? 0 : 1;
                    });
  EXPECT_EQ(child.Join(), 0);
  EXPECT_EQ(RowsAndFullRings(database.connection()), 30'000);
}

TEST(Files, FoldersThatAreRemovedUnderItsFeetCostNoSpan) {
  const TestDatabase database;
  const WriterFolders folders;
  TracedChild child(folders.OptionsFor(database.conninfo()),
                    [&](Tracer& tracer, Shared, const Say&) -> int {
                      Record(tracer, 1000);
                      fs::remove_all(folders.rings());
                      fs::remove_all(folders.journal());
                      std::thread([&] { Record(tracer, 1000); }).join();
                      Record(tracer, 20'000);
                      return tracer.Shutdown(absl::Seconds(60)).ok() ? 0 : 1;
                    });
  EXPECT_EQ(child.Join(), 0);
  EXPECT_EQ(RowsAndFullRings(database.connection()), 22'000);
}

std::string g_lines;
void KeepLines(LogLevel, std::string_view line) {
  absl::StrAppend(&g_lines, std::string(line), "\n");
}

TEST(Files, WhereNothingCanBeWrittenMemoryServesAndThatIsSaidOnce) {
  const TestDatabase database;
  for (const char* nowhere : {"/proc/nowhere", "/dev/null/x"}) {
    const WriterFolders folders;
    Options options = folders.OptionsFor(database.conninfo());
    options.ring_dir = nowhere;
    options.journal_dir = nowhere;
    options.log_errors = true;
    options.log_sink = KeepLines;
    TracedChild child(options, [](Tracer& tracer, Shared shared, const Say&) -> int {
      for (int i = 0; i < 20; ++i) {
        Record(tracer, 500);
        if (!tracer.Flush(absl::Seconds(60)).ok()) return 1;
      }
      std::size_t times = 0;
      for (std::size_t at = g_lines.find("lost if the process is killed"); at != std::string::npos;
           at = g_lines.find("lost if the process is killed", at + 1)) {
        ++times;
      }
      shared[0] = times;
      return 0;
    });
    EXPECT_EQ(child.Join(), 0);
    EXPECT_EQ(child.shared()[0], 2U) << "once for the rings, once for the journal";
  }
  EXPECT_EQ(Rows(database), 20'000);
}

// More than memory may hold alone, while the server is away: the disk takes it.
TEST(Files, AJournalLargerThanMemoryIsReadBackFromDisk) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  ASSERT_TRUE(server->Stop().ok());
  const WriterFolders folders;
  Options options = folders.OptionsFor(server->conninfo());
  options.journal_bytes = std::uint64_t{1} << 30;
  const int rounds = static_cast<int>(500 * Scale()) + 10;
  TracedChild child(options, [&](Tracer& tracer, Shared shared, const Say& say) -> int {
    for (int i = 0; i < rounds; ++i) {
      for (int n = 0; n < 1000; ++n) {
        tracer.StartSpan("fault", "step", {{"padding", "a text that takes some room in a row"}})
            .Complete();
      }
      usleep(2000);
    }
    say();
    while (*const_cast<volatile std::uint64_t*>(shared) == 0) usleep(1000);
    return tracer.Shutdown(absl::Seconds(120)).ok() ? 0 : 1;
  });
  child.Await();
  ASSERT_TRUE(server->Start().ok());
  *const_cast<volatile std::uint64_t*>(child.shared()) = 1;
  EXPECT_EQ(child.Join(), 0);
  const pg::Connection connection = ConnectTo(server->conninfo());
  EXPECT_EQ(RowsAndFullRings(connection.get()), 1000 * rounds);
  EXPECT_EQ(
      NumberOf(connection.get(), "SELECT count(*) - count(DISTINCT span_id) FROM trace_spans"), 0);
}

// Batches with spans that were reported as open are bound to an order: they are dropped like
// others.
void OldestAreDropped(bool with_reported_spans) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  ASSERT_TRUE(server->Stop().ok());
  const WriterFolders folders;
  Options options = folders.OptionsFor(server->conninfo());
  options.journal_bytes = 1 << 20;
  options.journal_drops_oldest = true;
  options.batch_rows = 100;
  options.ring_bytes = 16 << 20;
  options.open_span_ms = with_reported_spans ? 100 : 0;
  TracedChild child(options, [&](Tracer& tracer, Shared shared, const Say& say) -> int {
    Span open = tracer.StartSpan("fault", "long");
    for (int n = 0; n < 20'000; ++n) {
      tracer.StartSpan("fault", "step", {{"n", n}}).Complete();
      if (n % 1000 != 0) continue;
      usleep(with_reported_spans ? 200'000 : 5000);
      open = tracer.StartSpan("fault", "long");
    }
    open.Complete();
    usleep(300'000);
    say();
    while (*const_cast<volatile std::uint64_t*>(shared) == 0) usleep(1000);
    tracer.Shutdown(absl::Seconds(120)).IgnoreError();
    return tracer.GetStats().dropped > 0 ? 0 : 1;
  });
  child.Await();
  ASSERT_TRUE(server->Start().ok());
  *const_cast<volatile std::uint64_t*>(child.shared()) = 1;
  EXPECT_EQ(child.Join(), 0);
  const pg::Connection connection = ConnectTo(server->conninfo());
  EXPECT_EQ(NumberOf(connection.get(), "SELECT max((metadata->>'n')::int) FROM trace_spans"),
            19'999)
      << "the newest are there";
  EXPECT_EQ(NumberOf(connection.get(),
                     "SELECT (drops->>'journal_full')::int +"
                     " (SELECT count(*) FROM trace_spans) FROM trace_writers"),
            20'021);
  EXPECT_EQ(NumberOf(connection.get(), "SELECT count(*) FROM trace_open_spans"), 0);
}

// Waits until the other side has come so far.
void AwaitStep(Shared shared, std::uint64_t step) {
  while (*const_cast<volatile std::uint64_t*>(shared) < step) usleep(1000);
}
void Step(Shared shared, std::uint64_t step) {
  *const_cast<volatile std::uint64_t*>(shared) = step;
}

TEST(Files, AProcessGoesToAnotherDatabaseWhenNothingWaitsForTheFirst) {
  const TestDatabase second;
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  ASSERT_TRUE(server->Stop().ok());
  const WriterFolders folders;
  const Options options = folders.OptionsFor(server->conninfo());
  const Options other = folders.OptionsFor(second.conninfo());
  TracedChild child(options, [&](Tracer& tracer, Shared shared, const Say& say) -> int {
    for (int n = 0; n < 700; ++n) tracer.StartSpan("fault", "first").Complete();
    tracer.Shutdown(absl::Milliseconds(300)).IgnoreError();
    if (Tracer::Start(other).code() != absl::StatusCode::kFailedPrecondition) return 1;
    say();
    AwaitStep(shared, 1);
    if (!Tracer::Start(options).ok() || !tracer.Shutdown(absl::Seconds(60)).ok()) return 2;
    if (!Tracer::Start(other).ok()) return 3;
    for (int n = 0; n < 50; ++n) tracer.StartSpan("fault", "second").Complete();
    if (!tracer.Flush(absl::Seconds(60)).ok()) return 4;
    for (int n = 0; n < 5; ++n) tracer.StartSpan("fault", "left").Complete();
    usleep(300'000);
    raise(SIGKILL);
    return 5;
  });
  child.Await();
  ASSERT_TRUE(server->Start().ok());
  Step(child.shared(), 1);
  EXPECT_EQ(child.Join(), 1000 + SIGKILL);
  const pg::Connection first = ConnectTo(server->conninfo());
  EXPECT_EQ(NumberOf(first.get(), "SELECT count(*) FROM trace_spans"), 700);
  EXPECT_EQ(RecoverAll(options).from_journal, 0U) << "what is left is the other database's";
  RecoverAll(other);
  EXPECT_EQ(second.Value("SELECT count(*) FROM trace_spans"), "55");
  EXPECT_EQ(folders.Left(), 0U);
}

// A span that ends, in a trace of that ratio, while no database is there to be told so.
void ExpectOpenNoMoreAfterTheNextStart(double ratio) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  const WriterFolders folders;
  Options options = folders.OptionsFor(server->conninfo());
  options.open_span_ms = 100;
  options.sample_ratio = ratio;
  TracedChild child(options, [&](Tracer& tracer, Shared shared, const Say& say) -> int {
    Span span = tracer.StartSpan("fault", "wait");
    say();
    AwaitStep(shared, 1);
    span.Complete();
    tracer.Shutdown(absl::Milliseconds(300)).IgnoreError();
    Step(shared, 2);
    AwaitStep(shared, 3);
    if (!Tracer::Start(options).ok()) return 1;
    return tracer.Shutdown(absl::Seconds(60)).ok() ? 0 : 2;
  });
  child.Await();
  {
    const pg::Connection connection = ConnectTo(server->conninfo());
    ASSERT_TRUE(Eventually(
        [&] { return NumberOf(connection.get(), "SELECT count(*) FROM trace_open_spans") == 1; }));
  }
  ASSERT_TRUE(server->Stop().ok());
  Step(child.shared(), 1);
  AwaitStep(child.shared(), 2);
  ASSERT_TRUE(server->Start().ok());
  Step(child.shared(), 3);
  EXPECT_EQ(child.Join(), 0);
  const pg::Connection connection = ConnectTo(server->conninfo());
  EXPECT_EQ(ValueOf(connection.get(), "SELECT string_agg(status, ',') FROM trace_waterfall"),
            ratio == 1 ? "completed" : "<null>");
  EXPECT_EQ(ValueOf(connection.get(), "SELECT spans FROM trace_rollups WHERE hours = 1"), "1");
}

TEST(Files, ASpanThatEndsBetweenTwoRunsIsOpenNoMore) { ExpectOpenNoMoreAfterTheNextStart(1); }

TEST(Files, ASpanThatEndsBetweenTwoRunsIsOpenNoMoreThoughItIsNotStored) {
  ExpectOpenNoMoreAfterTheNextStart(0);
}

TEST(Files, OldestAreDroppedWhereThatIsTheWish) { OldestAreDropped(false); }

TEST(Files, OldestAreDroppedThoughTheyCloseSpans) { OldestAreDropped(true); }

// The parent's spans lie in memory that is shared through a file: a child must not write there.
TEST(Files, AForkedChildChangesNothingOfItsParentsSpans) {
  const TestDatabase database;
  const WriterFolders folders;
  TracedChild child(folders.OptionsFor(database.conninfo()),
                    [](Tracer& tracer, Shared, const Say&) -> int {
                      Span small = tracer.StartSpan("fault", "small");
                      Span large = tracer.StartSpan("fault", "large");
                      large.SetAttribute("mine", std::string(2000, 'p'));
                      const pid_t forked = fork();
                      if (forked == 0) {
                        small.SetAttribute("childs", "attribute");
                        large.SetAttribute("childs", std::string(500, 'c'));
                        small.Complete();
                        large.CompleteWithError("the child's", "childs");
                        Record(tracer, 10);
                        _exit(tracer.Shutdown(absl::Seconds(60)).ok() ? 0 : 1);
                      }
                      int status = 1;
                      waitpid(forked, &status, 0);
                      small.Complete();
                      large.Complete();
                      return status;
                    });
  EXPECT_EQ(child.Join(), 0);
  RecoverAll(folders.OptionsFor(database.conninfo()));
  EXPECT_EQ(database.Rows("SELECT operation, status, metadata ? 'childs', length(metadata->>'mine')"
                          " FROM trace_spans WHERE operation <> 'step' ORDER BY operation"),
            (std::vector<std::vector<std::string>>{{"large", "completed", "f", "2000"},
                                                   {"small", "completed", "<null>", "<null>"}}));
  EXPECT_EQ(Rows(database), 12);
  EXPECT_EQ(folders.Left(), 0U);
}

TEST(OpenSpans, HaveARowWhileTheyAreOpenForLong) {
  const TestDatabase database;
  const WriterFolders folders;
  Options options = folders.OptionsFor(database.conninfo());
  options.open_span_ms = 200;
  TracedChild child(options, [](Tracer& tracer, Shared shared, const Say& say) -> int {
    Span open = tracer.StartSpan("runner", "runner.wait");
    open.SetExecutionContext("job", 77, "model", "eu");
    open.SetAttribute("key", "value");
    Record(tracer, 100);
    say();
    while (*const_cast<volatile std::uint64_t*>(shared) == 0) usleep(1000);
    open.Complete();
    const bool flushed = tracer.Flush(absl::Seconds(60)).ok();
    say();
    pause();
    return flushed ? 0 : 1;
  });
  child.Await();
  EXPECT_TRUE(Eventually([&] {
    return NumberOf(database.connection(), "SELECT count(*) FROM trace_open_spans") == 1;
  }));
  EXPECT_EQ(database.Rows("SELECT service, operation, status, job_id, metadata->>'key',"
                          " completed_at IS NULL FROM trace_waterfall WHERE execution_id = 77"),
            (std::vector<std::vector<std::string>>{
                {"runner", "runner.wait", "started", "job", "value", "t"}}));
  *const_cast<volatile std::uint64_t*>(child.shared()) = 1;
  child.Await();
  EXPECT_EQ(database.Rows("SELECT status FROM trace_waterfall WHERE execution_id = 77"),
            (std::vector<std::vector<std::string>>{{"completed"}}));
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_open_spans"), "0");
}

TEST(OpenSpans, ThatEndInAFullRingVanishToo) {
  const TestDatabase database;
  const WriterFolders folders;
  Options options = folders.OptionsFor(database.conninfo());
  options.open_span_ms = 100;
  options.ring_bytes = 65'536;
  TracedChild child(options, [&](Tracer& tracer, Shared shared, const Say& say) -> int {
    std::vector<Span> open;
    for (int i = 0; i < 5000; ++i) open.push_back(tracer.StartSpan("fault", "open"));
    say();
    while (*const_cast<volatile std::uint64_t*>(shared) == 0) usleep(1000);
    for (Span& span : open) span.Complete();  // More than the ring holds at once.
    say();
    pause();
    return 0;
  });
  child.Await();
  EXPECT_TRUE(Eventually([&] {
    return NumberOf(database.connection(), "SELECT count(*) FROM trace_open_spans") == 5000;
  }));
  *const_cast<volatile std::uint64_t*>(child.shared()) = 1;
  child.Await();
  EXPECT_TRUE(Eventually([&] {
    return NumberOf(database.connection(), "SELECT count(*) FROM trace_open_spans") == 0;
  }));
  EXPECT_TRUE(Eventually([&] {
    return NumberOf(database.connection(),
                    "SELECT count(*) + (SELECT sum(spans_dropped) FROM trace_writers)"
                    " FROM trace_spans") == 5000;
  }));
}

}  // namespace
}  // namespace spanring::test
