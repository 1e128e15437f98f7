// What stands in a recovery's way: folders of which it sees one alone, rows that the server
// refuses, a damaged journal, memory without files.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
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

constexpr char kAccounts[] =
    "SELECT count(*) FROM trace_writers WHERE recovered_at IS NOT NULL"
    " AND spans_started = spans_persisted + spans_dropped";

// Spans that the database does not take yet: some in the journal, one open.
void LeaveBehind(const TestDatabase& database, const Options& options, int spans) {
  database.Run("ALTER TABLE trace_batches RENAME TO gone");
  TracedChild child(options, [&](Tracer& tracer, Shared, const Say& say) -> int {
    for (int i = 0; i < spans; ++i) tracer.StartSpan("fault", "step", {{"n", i}}).Complete();
    const Span open = tracer.StartSpan("fault", "open");
    usleep(300'000);
    say();
    pause();
    return 0;
  });
  child.Await();
  child.Kill();
  database.Run("ALTER TABLE gone RENAME TO trace_batches");
}

std::int64_t Rows(const TestDatabase& database) {
  return NumberOf(database.connection(), "SELECT count(*) FROM trace_spans");
}
std::string Drops(const TestDatabase& database) {
  return database.Value("SELECT drops FROM trace_writers");
}

// What one recovery says of the only folder that it finds.
absl::Status OneStatus(const Options& options) {
  recovery::Recovery recovery(options);
  const auto all = recovery.Run();
  EXPECT_EQ(all.size(), 1U);
  return all.empty() ? absl::OkStatus() : all[0].status;
}

void ExpectWhole(const TestDatabase& database, const WriterFolders& folders, int spans) {
  EXPECT_EQ(Rows(database), spans + 1);
  EXPECT_EQ(database.Value("SELECT count(DISTINCT span_id) FROM trace_spans"),
            absl::StrCat(spans + 1));
  EXPECT_EQ(Drops(database), "{}");
  EXPECT_EQ(database.Value(kAccounts), "1");
  EXPECT_EQ(folders.Left(), 0U);
}

// --- One folder of two ---

TEST(Recovery, RingsWhoseJournalIsElsewhereAreLeftAlone) {
  const TestDatabase database;
  const WriterFolders folders;
  const WriterFolders others;
  const Options options = folders.OptionsFor(database.conninfo());
  LeaveBehind(database, options, 100);
  for (const std::string& journal : {others.journal(), std::string("off")}) {
    Options elsewhere = options;
    elsewhere.journal_dir = journal;
    const absl::Status status = OneStatus(elsewhere);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_NE(status.message().find("SPANRING_JOURNAL_DIR=" + folders.journal()),
              absl::string_view::npos)
        << status;
  }
  EXPECT_EQ(Rows(database), 0);
  EXPECT_EQ(folders.Left(), 2U);
  RecoverAll(options);
  ExpectWhole(database, folders, 100);
}

TEST(Recovery, AJournalWhoseRingsAreElsewhereWaitsForThem) {
  const TestDatabase database;
  const WriterFolders folders;
  const WriterFolders others;
  const Options options = folders.OptionsFor(database.conninfo());
  LeaveBehind(database, options, 100);
  Options elsewhere = options;
  elsewhere.ring_dir = others.rings();
  const absl::Status status = OneStatus(elsewhere);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(status.message().find("SPANRING_RING_DIR=" + folders.rings()), absl::string_view::npos)
      << status;
  recovery::Recovery recovery(elsewhere);
  const auto listed = recovery.List();
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].from_journal, 100U);
  EXPECT_TRUE(absl::IsFailedPrecondition(listed[0].status)) << listed[0].status;
  EXPECT_EQ(Rows(database), 0);
  RecoverAll(options);
  ExpectWhole(database, folders, 100);
}

fs::path OnlyFolderIn(const std::string& root) { return fs::directory_iterator(root)->path(); }

// A container's tmpfs goes with it, and its journal stays.
TEST(Recovery, AJournalWhoseRingsDoNotComeGoesAlone) {
  const TestDatabase database;
  const WriterFolders folders;
  const WriterFolders others;
  Options options = folders.OptionsFor(database.conninfo());
  LeaveBehind(database, options, 100);
  options.ring_dir = others.rings();
  fs::last_write_time(OnlyFolderIn(folders.journal()),
                      fs::file_time_type::clock::now() - std::chrono::minutes(61));
  EXPECT_EQ(RecoverAll(options).from_journal, 100U);
  EXPECT_EQ(Rows(database), 100);
  EXPECT_TRUE(fs::is_empty(folders.journal()));
}

TEST(Recovery, AJournalOfAnotherBootGoesAlone) {
  const TestDatabase database;
  const WriterFolders folders;
  const WriterFolders others;
  Options options = folders.OptionsFor(database.conninfo());
  LeaveBehind(database, options, 100);
  options.ring_dir = others.rings();
  const fs::path owner = OnlyFolderIn(folders.journal()) / "owner";
  std::stringstream text;
  text << std::ifstream(owner).rdbuf();
  std::string changed = text.str();
  ASSERT_NE(changed.find("\nboot "), std::string::npos) << changed;
  changed[changed.find("\nboot ") + 6] ^= 1;
  std::ofstream(owner) << changed;
  EXPECT_EQ(RecoverAll(options).from_journal, 100U);
  EXPECT_EQ(Rows(database), 100);
}

TEST(Recovery, WhatIsLeftWhenSomebodyRemovedTheOtherFolderIsDelivered) {
  for (const bool rings_go : {true, false}) {
    const TestDatabase database;
    const WriterFolders folders;
    const Options options = folders.OptionsFor(database.conninfo());
    LeaveBehind(database, options, 100);
    fs::remove_all(OnlyFolderIn(rings_go ? folders.rings() : folders.journal()));
    RecoverAll(options);
    EXPECT_EQ(Rows(database), rings_go ? 100 : 1);
    EXPECT_EQ(Drops(database), rings_go ? "{}" : R"({"crash": 100})");
    EXPECT_EQ(folders.Left(), 0U);
  }
}

// --- Refused and damaged rows ---

TEST(Recovery, ABatchOfWhichEveryRowIsRefusedIsGivenUp) {
  for (const bool with_rings : {true, false}) {
    const TestDatabase database;
    const WriterFolders folders;
    Options options = folders.OptionsFor(database.conninfo());
    options.batch_rows = 50;
    if (!with_rings) options.ring_dir = "off";
    LeaveBehind(database, options, 200);
    // Two batches as a whole, and some rows of a third.
    database.Run(
        "ALTER TABLE trace_spans ADD CONSTRAINT odd CHECK"
        " (coalesce((metadata->>'n')::int, 1000) >= 120)");
    const recovery::Recovered recovered = RecoverAll(options);
    EXPECT_EQ(recovered.rejected, 120U);
    EXPECT_EQ(Rows(database), with_rings ? 81 : 80);
    EXPECT_EQ(Drops(database), R"({"rejected": 120})");
    if (with_rings) {
      EXPECT_EQ(database.Value(kAccounts), "1");
    }
    EXPECT_EQ(folders.Left(), 0U);
  }
}

// Of each batch of the journal one row is stored, and refused.
TEST(Recovery, WhereAllRowsThatAreStoredAreRefusedTheOthersAreSummed) {
  const TestDatabase database;
  const WriterFolders folders;
  Options options = folders.OptionsFor(database.conninfo());
  options.ring_dir = "off";
  options.sample_ratio = 0;
  options.batch_rows = 50;
  database.Run("ALTER TABLE trace_batches RENAME TO gone");
  TracedChild child(options, [](Tracer& tracer, Shared, const Say& say) -> int {
    for (int i = 0; i < 200; ++i) {
      Span span = tracer.StartSpan("fault", "step");
      if (i % 50 == 20) span.CompleteWithError("it failed", "error");
    }
    if (!tracer.FlushToDisk(absl::Seconds(60)).ok()) return 1;
    say();
    pause();
    return 0;
  });
  child.Await();
  child.Kill();
  database.Run(
      "ALTER TABLE gone RENAME TO trace_batches;"
      "ALTER TABLE trace_spans ADD CONSTRAINT refused CHECK (status <> 'failed')");
  const recovery::Recovered recovered = RecoverAll(options);
  EXPECT_EQ(recovered.rejected, 4U);
  EXPECT_EQ(Drops(database), R"({"rejected": 4})");
  EXPECT_EQ(database.Value("SELECT spans_sampled_out FROM trace_writers"), "196");
  EXPECT_EQ(database.Value("SELECT sum(spans) FROM trace_rollups WHERE hours = 1"), "196");
  EXPECT_EQ(folders.Left(), 0U);
}

TEST(Recovery, DamagedRowsOfTheJournalAreCountedAsSuch) {
  const TestDatabase database;
  const WriterFolders folders;
  Options options = folders.OptionsFor(database.conninfo());
  options.batch_rows = 50;
  LeaveBehind(database, options, 200);
  const std::vector<fs::path> segments = folders.Files(".segment");
  ASSERT_GE(segments.size(), 4U);
  for (const auto& [segment, place] : {std::pair{segments[0], 20}, std::pair{segments[1], -20}}) {
    std::fstream file(segment, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(place, place < 0 ? std::ios::end : std::ios::beg);
    file << "damage";
  }
  const recovery::Recovered recovered = RecoverAll(options);
  EXPECT_GE(recovered.damaged, 51U) << "a segment, and a frame of another at least";
  EXPECT_EQ(Rows(database), 201 - static_cast<std::int64_t>(recovered.damaged));
  EXPECT_EQ(Drops(database), absl::StrCat("{\"journal_damaged\": ", recovered.damaged, "}"));
  EXPECT_EQ(database.Value(kAccounts), "1");
}

// --- Memory without files ---

std::string g_lines;
void KeepLines(LogLevel, std::string_view line) {
  absl::StrAppend(&g_lines, std::string(line), "\n");
}
std::uint64_t TimesSaid(std::string_view text) {
  std::uint64_t times = 0;
  for (std::size_t at = g_lines.find(text); at != std::string::npos;
       at = g_lines.find(text, at + 1)) {
    ++times;
  }
  return times;
}

// A limit on the size of files stands for a tmpfs that is full: a ring finds no room there, and its
// counts do.
TEST(Recovery, SpansOfRingsThatFoundNoRoomAreCountedAsLost) {
  const TestDatabase database;
  const WriterFolders folders;
  Options options = folders.OptionsFor(database.conninfo());
  options.journal_dir = "off";
  options.log_errors = true;
  options.log_sink = KeepLines;
  database.Run("ALTER TABLE trace_batches RENAME TO gone");
  TracedChild child(options, [](Tracer& tracer, Shared shared, const Say& say) -> int {
    const rlimit limit{64 << 10, 64 << 10};
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int t = 0; t < 3; ++t) {
      std::thread([&] {
        for (int i = 0; i < 100; ++i) tracer.StartSpan("fault", "step").Complete();
        usleep(100'000);
      }).join();
    }
    tracer.Flush(absl::Milliseconds(100)).IgnoreError();
    shared[0] = TimesSaid("no room for all rings");
    say();
    pause();
    return 0;
  });
  child.Await();
  EXPECT_EQ(child.shared()[0], 1U);
  child.Kill();
  database.Run("ALTER TABLE gone RENAME TO trace_batches");
  RecoverAll(options);
  EXPECT_EQ(Rows(database), 0);
  EXPECT_EQ(Drops(database), R"({"crash": 300})");
  EXPECT_EQ(database.Value(kAccounts), "1");
  EXPECT_EQ(folders.Left(), 0U);
}

TEST(Recovery, AWriterWithoutRingsIsSettledToo) {
  const TestDatabase database;
  const WriterFolders folders;
  Options options = folders.OptionsFor(database.conninfo());
  options.ring_dir = "off";
  options.open_span_ms = 50;
  TracedChild child(options, [](Tracer& tracer, Shared, const Say& say) -> int {
    const Span open = tracer.StartSpan("fault", "open");
    say();
    pause();
    return 0;
  });
  child.Await();
  EXPECT_TRUE(Eventually([&] {
    return NumberOf(database.connection(), "SELECT count(*) FROM trace_open_spans") == 1;
  }));
  EXPECT_TRUE(Eventually([&] { return folders.Files(".segment").empty(); }));
  child.Kill();
  RecoverAll(options);
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_open_spans"), "0");
  EXPECT_EQ(database.Value("SELECT count(*) FROM trace_writers WHERE recovered_at IS NOT NULL"),
            "1");
  EXPECT_EQ(folders.Left(), 0U);
}

}  // namespace
}  // namespace spanring::test
