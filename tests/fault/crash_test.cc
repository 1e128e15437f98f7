// Processes that die: what reached a ring is found once, what was open is found as failed, and the
// writer's account says the same.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"
#include "fault/faulty_proxy.h"
#include "fault/traced_child.h"
#include "runtime/sanitizers.h"
#include "support/database.h"

namespace spanring::test {
namespace {

using Shared = TracedChild::Shared;
using Say = std::function<void()>;
using std::chrono::milliseconds;

constexpr int kThreads = 4;

void Sleep(int ms) { std::this_thread::sleep_for(milliseconds(ms)); }

void Record(Tracer& tracer, int count, std::string_view operation = "step") {
  for (int i = 0; i < count; ++i) tracer.StartSpan("fault", operation).Complete();
}

// Four threads that number their spans, and say before and behind each end how far they are: shared
// words 2t and 2t + 1. Until they are killed.
int RecordUntilKilled(Tracer& tracer, Shared shared, const Say& say, int pause_us) {
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string operation = absl::StrCat("thread", t);
      auto* begun = reinterpret_cast<std::atomic<std::uint64_t>*>(shared + 2 * t);
      auto* ended = reinterpret_cast<std::atomic<std::uint64_t>*>(shared + 2 * t + 1);
      for (std::uint64_t n = 1;; ++n) {
        Span span = tracer.StartSpan("fault", operation);
        span.SetAttribute("n", static_cast<std::int64_t>(n));
        begun->store(n);
        span.Complete();
        ended->store(n);
        if (pause_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
      }
    });
  }
  say();
  pause();
  return 0;
}

// Each thread's numbers are there once, without a hole, up to what it said last; one more may have
// been ended, or be there as open. Unless spans are counted as dropped, which must make up for it.
void ExpectNumbersAreThere(PGconn* connection, Shared shared) {
  const std::int64_t dropped =
      NumberOf(connection, "SELECT coalesce(sum(spans_dropped), 0) FROM trace_writers");
  std::int64_t missing = 0;
  for (int t = 0; t < kThreads; ++t) {
    const std::string of = absl::StrCat(" FROM trace_spans WHERE operation = 'thread", t, "'");
    const auto ended = static_cast<std::int64_t>(shared[2 * t + 1]);
    EXPECT_EQ(NumberOf(connection, "SELECT count(*) - count(DISTINCT span_id)" + of), 0);
    EXPECT_LE(NumberOf(connection, "SELECT coalesce(max((metadata->>'n')::bigint), 0)" + of),
              ended + 1);
    EXPECT_EQ(
        NumberOf(connection, absl::StrCat("SELECT count(*)", of,
                                          " AND status = 'failed' AND (metadata->>'n')::bigint"
                                          " <= ",
                                          ended)),
        0)
        << "what had ended is not open";
    missing +=
        ended - NumberOf(connection, absl::StrCat("SELECT count(*)", of,
                                                  " AND (metadata->>'n')::bigint <= ", ended));
  }
  EXPECT_LE(missing, dropped);
  if (dropped == 0) {
    EXPECT_EQ(missing, 0);
  }
}

// started = persisted + sampled out + dropped, and that many rows, for every writer that was
// recovered.
void ExpectAccount(PGconn* connection) {
  EXPECT_EQ(ValueOf(connection,
                    "SELECT count(*) FROM trace_writers"
                    " WHERE spans_started <> spans_persisted + spans_sampled_out + spans_dropped"),
            "0");
  EXPECT_EQ(NumberOf(connection, "SELECT count(*) FROM trace_spans"),
            NumberOf(connection, "SELECT coalesce(sum(spans_persisted), 0) FROM trace_writers"));
  EXPECT_EQ(ValueOf(connection, "SELECT count(*) FROM trace_open_spans"), "0");
}

TEST(Crash, KilledAtAnyMomentLeavesEachSpanOnce) {
  const std::uint32_t seed = Seed();
  std::mt19937 random(seed);
  const int rounds = static_cast<int>(25 * Scale()) + 2;
  std::uint64_t spans = 0;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", round ", round));
    const TestDatabase database;
    const WriterFolders folders;
    Options options = folders.OptionsFor(database.conninfo());
    options.batch_rows = 1 + random() % 2000;
    options.shippers = 1 + random() % 3;
    TracedChild child(options, [&](Tracer& tracer, Shared shared, const Say& say) {
      return RecordUntilKilled(tracer, shared, say, 20);
    });
    child.Await();
    Sleep(static_cast<int>(random() % 400));
    child.Kill();
    RecoverAll(options);
    ExpectNumbersAreThere(database.connection(), child.shared());
    ExpectAccount(database.connection());
    EXPECT_EQ(folders.Left(), 0U);
    spans += static_cast<std::uint64_t>(
        NumberOf(database.connection(), "SELECT count(*) FROM trace_spans"));
  }
  std::printf("%d kills, %llu spans\n", rounds, static_cast<unsigned long long>(spans));
}

TEST(Crash, SpansThatAreOnlySummedAreSummedOnce) {
  const std::uint32_t seed = Seed();
  std::mt19937 random(seed);
  const int rounds = static_cast<int>(8 * Scale()) + 2;
  std::int64_t summed = 0;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", round ", round));
    const TestDatabase database;
    const WriterFolders folders;
    Options options = folders.OptionsFor(database.conninfo());
    options.sample_ratio = 0;
    options.batch_rows = 1 + random() % 2000;
    options.shippers = 1 + random() % 3;
    TracedChild child(options, [&](Tracer& tracer, Shared shared, const Say& say) {
      return RecordUntilKilled(tracer, shared, say, 20);
    });
    child.Await();
    Sleep(static_cast<int>(200 + random() % 400));
    child.Kill();
    RecoverAll(options);
    ExpectAccount(database.connection());
    std::int64_t ended = 0;
    for (int t = 0; t < kThreads; ++t) {
      ended += static_cast<std::int64_t>(child.shared()[2 * t + 1]);
    }
    const std::int64_t sum =
        NumberOf(database.connection(),
                 "SELECT coalesce(sum(spans), 0)::bigint FROM trace_rollups WHERE hours = 1");
    EXPECT_EQ(sum, NumberOf(database.connection(),
                            "SELECT spans_persisted + spans_sampled_out FROM trace_writers"));
    const std::int64_t dropped =
        NumberOf(database.connection(), "SELECT spans_dropped FROM trace_writers");
    EXPECT_GE(sum + dropped, ended);
    EXPECT_LE(sum, ended + kThreads);
    summed += NumberOf(database.connection(), "SELECT spans_sampled_out FROM trace_writers");
  }
  EXPECT_GT(summed, 0);
}

// What was left out before the kill is missing around it.
TEST(Crash, WhatIsRecoveredOfATraceThatIsNotSampledSaysSo) {
  const TestDatabase database;
  const WriterFolders folders;
  Options options = folders.OptionsFor(database.conninfo());
  options.sample_ratio = 0;
  TracedChild child(options, [](Tracer& tracer, Shared, const Say& say) -> int {
    const Span root = tracer.StartSpan("fault", "root");
    const Span unsampled = tracer.StartSpan(root.context(), "fault", "unsampled");
    const Span sampled = tracer.StartSpan(
        {.trace_id = TraceId(1, 2), .span_id = SpanId(3), .sampled = true}, "fault", "sampled");
    say();
    pause();
    return 0;
  });
  child.Await();
  child.Kill();
  RecoverAll(options);
  EXPECT_EQ(database.Rows("SELECT operation, metadata->>'spanring.sampled' FROM trace_spans"
                          " ORDER BY operation"),
            (std::vector<std::vector<std::string>>{
                {"root", "false"}, {"sampled", "<null>"}, {"unsampled", "false"}}));
}

TEST(Crash, WithoutAServerJournalAndRingsWaitForOne) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  ASSERT_TRUE(server->Stop().ok());
  const WriterFolders folders;
  Options options = folders.OptionsFor(server->conninfo());
  options.batch_rows = 500;
  TracedChild child(options, [&](Tracer& tracer, Shared shared, const Say& say) {
    return RecordUntilKilled(tracer, shared, say, 10);
  });
  child.Await();
  Sleep(1000);
  child.Kill();
  EXPECT_GT(folders.Files(".segment").size(), 3U);
  for (const auto& file : folders.Files()) {
    EXPECT_EQ(std::filesystem::status(file).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write)
        << file;
  }
  recovery::Recovery too_early(options);
  const auto tried = too_early.Run();
  ASSERT_EQ(tried.size(), 1U);
  EXPECT_TRUE(absl::IsUnavailable(tried[0].status)) << tried[0].status;
  ASSERT_TRUE(server->Start().ok());
  const recovery::Recovered recovered = RecoverAll(options);
  EXPECT_GT(recovered.from_journal, 1000U);
  const pg::Connection connection = ConnectTo(server->conninfo());
  ExpectNumbersAreThere(connection.get(), child.shared());
  ExpectAccount(connection.get());
  EXPECT_EQ(folders.Left(), 0U);
}

TEST(Crash, WhatWasFlushedToDiskNeedsNeitherServerNorRings) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  ASSERT_TRUE(server->Stop().ok());
  const WriterFolders folders;
  Options options = folders.OptionsFor(server->conninfo());
  options.ring_dir = "off";
  options.flush_interval_ms = 60'000;
  TracedChild child(options, [&](Tracer& tracer, Shared shared, const Say& say) {
    Record(tracer, 1000);
    shared[0] = tracer.FlushToDisk(absl::Seconds(20)).ok() ? 1 : 0;
    say();
    pause();
    return 0;
  });
  child.Await();
  child.Kill();
  EXPECT_EQ(child.shared()[0], 1U);
  ASSERT_TRUE(server->Start().ok());
  EXPECT_EQ(RecoverAll(options).from_journal, 1000U);
}

TEST(Crash, AbortedWithSpansOpenTheyAreFailedAndSayWhy) {
  const TestDatabase database;
  const WriterFolders folders;
  const Options options = folders.OptionsFor(database.conninfo());
  TracedChild child(options, [](Tracer& tracer, Shared, const Say&) -> int {
    Record(tracer, 100);
    Span outer = tracer.StartSpan("runner", "runner.execute");
    outer.SetExecutionContext("job", 2193, "model", "eu");
    Span inner = tracer.StartSpan(outer.context().trace_id, outer.context().span_id, "runner",
                                  "runner.call");
    inner.SetAttribute("large", std::string(3000, 'x'));
    Sleep(50);
    std::abort();
  });
  EXPECT_EQ(child.Join(), 1000 + SIGABRT);
  const recovery::Recovered recovered = RecoverAll(options);
  EXPECT_EQ(recovered.were_open, 2U);
  EXPECT_EQ(database.Rows("SELECT operation, status, error_type, execution_id, service,"
                          " length(metadata->>'large'), duration_ms BETWEEN 0 AND 60000"
                          " FROM trace_spans WHERE error_type IS NOT NULL ORDER BY operation"),
            (std::vector<std::vector<std::string>>{
                {"runner.call", "failed", "process_crash", "<null>", "runner", "3000", "t"},
                {"runner.execute", "failed", "process_crash", "2193", "runner", "<null>", "t"}}));
  EXPECT_EQ(database.Value("SELECT root_cause_type FROM identify_root_cause(2193) LIMIT 1"),
            "PROCESS_CRASH");
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"), "102");
  ExpectAccount(database.connection());
}

// Their times are right too, though the drainer may not have looked once.
TEST(Crash, KilledRightAtTheStartSpansHaveTheirTimes) {
  const TestDatabase database;
  const WriterFolders folders;
  const Options options = folders.OptionsFor(database.conninfo());
  for (int i = 0; i < 10; ++i) {
    TracedChild child(options, [](Tracer& tracer, Shared, const Say&) -> int {
      Record(tracer, 10);
      const Span open = tracer.StartSpan("fault", "open");
      std::abort();
    });
    child.Join();
    RecoverAll(options);
  }
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans WHERE started_at BETWEEN"
                           " now() - interval '1 hour' AND now() + interval '1 minute'"
                           " AND duration_ms < 60000"),
            "110");
  ExpectAccount(database.connection());
}

TEST(Crash, OutOfMemoryLosesNothingThatReachedARing) {
  if (kSanitizer) GTEST_SKIP() << "the sanitizer's own memory is beyond any limit";
  const TestDatabase database;
  const WriterFolders folders;
  const Options options = folders.OptionsFor(database.conninfo());
  TracedChild child(options, [](Tracer& tracer, Shared shared, const Say&) -> int {
    Record(tracer, 50'000);
    const rlimit limit{256 << 20, 256 << 20};
    setrlimit(RLIMIT_AS, &limit);
    std::vector<std::unique_ptr<char[]>> hoard;
    for (;;) {  // Until std::bad_alloc, which nobody catches.
      hoard.push_back(std::make_unique<char[]>(1 << 20));
      Record(tracer, 100);
      shared[0] += 100;
    }
  });
  EXPECT_EQ(child.Join(), 1000 + SIGABRT);
  RecoverAll(options);
  const std::int64_t ended = 50'000 + static_cast<std::int64_t>(child.shared()[0]);
  EXPECT_GE(
      NumberOf(database.connection(), "SELECT spans_persisted + spans_dropped FROM trace_writers"),
      ended);
  ExpectAccount(database.connection());
}

TEST(Crash, TheNextProcessRecoversByItself) {
  const TestDatabase database;
  const WriterFolders folders;
  const Options options = folders.OptionsFor(database.conninfo());
  TracedChild first(options, [](Tracer& tracer, Shared, const Say& say) -> int {
    Record(tracer, 1000, "of the first");
    say();
    pause();
    return 0;
  });
  first.Await();
  first.Kill();
  TracedChild second(options, [](Tracer&, Shared, const Say& say) -> int {
    say();
    pause();
    return 0;
  });
  EXPECT_TRUE(Eventually([&] {
    return NumberOf(database.connection(),
                    "SELECT count(*) FROM trace_writers"
                    " WHERE recovered_at IS NOT NULL") == 1;
  }));
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans WHERE operation = 'of the first'"),
            "1000");
  ExpectAccount(database.connection());
}

TEST(Crash, WhatIsMeantForAnotherDatabaseStays) {
  const TestDatabase database;
  const TestDatabase other;
  const WriterFolders folders;
  TracedChild child(folders.OptionsFor(database.conninfo()),
                    [](Tracer& tracer, Shared, const Say&) -> int {
                      Record(tracer, 10);
                      std::abort();
                    });
  child.Join();
  RecoverAll(folders.OptionsFor(other.conninfo()));
  EXPECT_EQ(other.Value("SELECT count(*) FROM trace_spans"), "0");
  EXPECT_GT(folders.Left(), 0U);
  RecoverAll(folders.OptionsFor(database.conninfo()));
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_spans"), "10");
  EXPECT_EQ(folders.Left(), 0U);
}

// A database that is gone for good must not fill the disk of all others.
TEST(Crash, AFolderWithoutSpansOfAnotherDatabaseGoesAfterADay) {
  const TestDatabase database;
  const TestDatabase other;
  const WriterFolders folders;
  const auto leave = [&](int spans) {
    Options options = folders.OptionsFor(database.conninfo());
    options.ring_dir = "off";
    options.batch_timeout_ms = 100;
    database.Run("ALTER TABLE trace_batches RENAME TO gone");
    TracedChild child(options, [&](Tracer& tracer, Shared, const Say& say) -> int {
      Record(tracer, spans);
      Sleep(200);
      say();
      pause();
      return 0;
    });
    child.Await();
    child.Kill();
    database.Run("ALTER TABLE gone RENAME TO trace_batches");
  };
  const auto folders_after = [&](std::chrono::hours age) {
    for (const auto& entry : std::filesystem::directory_iterator(folders.journal())) {
      std::filesystem::last_write_time(entry, std::filesystem::file_time_type::clock::now() - age);
    }
    RecoverAll(folders.OptionsFor(other.conninfo()));
    return folders.Left();
  };
  leave(10);
  leave(0);
  EXPECT_EQ(folders_after(std::chrono::hours(23)), 2U);
  EXPECT_EQ(folders_after(std::chrono::hours(25)), 1U) << "the one without spans";
  EXPECT_EQ(folders_after(std::chrono::hours(24 * 1000)), 1U) << "spans are never thrown away";
  EXPECT_EQ(other.Value("SELECT count(*) FROM trace_spans"), "0");
}

TEST(Crash, AProcessThatIsStoppedIsNotDead) {
  const TestDatabase database;
  const WriterFolders folders;
  const Options options = folders.OptionsFor(database.conninfo());
  TracedChild child(options, [](Tracer& tracer, Shared, const Say& say) -> int {
    Record(tracer, 10);
    say();
    pause();
    return 0;
  });
  child.Await();
  child.Signal(SIGSTOP);
  recovery::Recovery recovery(options);
  EXPECT_TRUE(recovery.Run().empty());
  const auto all = recovery.List();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_TRUE(absl::IsAborted(all[0].status)) << all[0].status;
}

// The server has the batch, and its answer does not come; then the process dies.
TEST(Crash, KilledBeforeTheAnswerToCommitTheLedgerDecides) {
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  FaultyProxy proxy(server->socket_folder() + "/.s.PGSQL.5432");
  const WriterFolders folders;
  const Options options = folders.OptionsFor(server->conninfo() + " " + proxy.conninfo());
  const pg::Connection connection = ConnectTo(server->conninfo());
  for (int round = 0; round < 5; ++round) {
    proxy.SetMode(FaultyProxy::Mode::kPass);
    proxy.WhenServerSays("COPY 100", FaultyProxy::Fault::kSwallow, 1);
    TracedChild child(options, [](Tracer& tracer, Shared, const Say& say) -> int {
      Record(tracer, 100);
      say();
      pause();
      return 0;
    });
    child.Await();
    EXPECT_TRUE(Eventually([&] {
      return NumberOf(connection.get(), "SELECT count(*) FROM trace_spans") == 100 * (round + 1);
    }));
    child.Kill();
    proxy.SetMode(FaultyProxy::Mode::kReset);
    proxy.SetMode(FaultyProxy::Mode::kPass);
    const recovery::Recovered recovered = RecoverAll(options);
    EXPECT_EQ(recovered.already_there, recovered.from_journal + recovered.from_rings);
    EXPECT_GT(recovered.already_there, 0U);
  }
  EXPECT_EQ(NumberOf(connection.get(), "SELECT count(DISTINCT span_id) FROM trace_spans"), 500);
  ExpectAccount(connection.get());
}

// --- Recovery dies too ---

// Leaves many small batches of a process, in journal and rings.
void LeaveBehind(const WriterFolders& folders, const std::string& unreachable,
                 const std::string& conninfo) {
  Options options = folders.OptionsFor(conninfo);
  options.batch_rows = 50;
  options.database_url = unreachable;
  TracedChild child(options, [](Tracer& tracer, Shared, const Say&) -> int {
    for (int i = 0; i < 40; ++i) {
      Record(tracer, 100);
      Sleep(1);
    }
    std::vector<Span> open;
    for (int i = 0; i < 120; ++i) open.push_back(tracer.StartSpan("fault", "open"));
    std::abort();
  });
  child.Join();
}

TEST(Crash, RecoveryThatIsKilledAgainAndAgainEndsWithEachSpanOnce) {
  const std::uint32_t seed = Seed();
  std::mt19937 random(seed);
  SCOPED_TRACE(seed);
  dev::TemporaryServer server = OwnServer({}, {"synchronous_commit = on"});
  Migrate(server->conninfo());
  const WriterFolders folders;
  ASSERT_TRUE(server->Stop().ok());
  LeaveBehind(folders, server->conninfo(), server->conninfo());
  ASSERT_TRUE(server->Start().ok());
  const Options options = folders.OptionsFor(server->conninfo());
  int kills = 0;
  for (int round = 0; round < 200 && folders.Left() > 0; ++round) {
    // Two at once, of which one is killed.
    pid_t children[2];
    for (pid_t& child : children) {
      std::fflush(nullptr);
      child = fork();
      if (child == 0) {
        recovery::Recovery recovery(options);
        recovery.Run();
        _exit(0);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
    for (const pid_t child : children) {
      kills += kill(child, SIGKILL) == 0 ? 1 : 0;
      waitpid(child, nullptr, 0);
    }
    if (round == 150) RecoverAll(options);
  }
  RecoverAll(options);
  const pg::Connection connection = ConnectTo(server->conninfo());
  std::printf("%d recoveries started or killed\n", kills);
  EXPECT_EQ(folders.Left(), 0U);
  EXPECT_EQ(NumberOf(connection.get(), "SELECT count(*) FROM trace_spans"), 4120);
  EXPECT_EQ(NumberOf(connection.get(), "SELECT count(DISTINCT span_id) FROM trace_spans"), 4120);
  EXPECT_EQ(NumberOf(connection.get(),
                     "SELECT count(*) FROM trace_spans WHERE error_type = 'process_crash'"),
            120);
  ExpectAccount(connection.get());
}

}  // namespace
}  // namespace spanring::test
