// Fault: the disk is full, the server's or that of the journal.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#undef BLOCK_SIZE  // <sys/mount.h> has a macro of that name; a library, a member.

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"
#include "fault/fixture.h"
#include "fault/traced_child.h"
#include "support/database.h"

namespace spanring::test {
namespace {

// A small file system in a folder. It is mounted for this process and its children only, the server
// among them, so that it goes with the last of them however that ends.
class SmallDisk {
 public:
  SmallDisk(std::string_view size, const dev::Identity& user) {
    const std::string options =
        absl::StrCat("size=", std::string(size), ",mode=0700,uid=", user.uid, ",gid=", user.gid);
    mounted_ = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
               mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
               mount("tmpfs", folder_.path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                     options.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(folder_.path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::string& folder() const { return folder_.path(); }
  std::string journal() const { return folder_ / "journal"; }
  void Fill() const {
    std::ofstream ballast(Ballast(), std::ios::binary);
    const std::string block(4096, 'x');
    while (ballast.write(block.data(), 4096).flush()) continue;
  }
  void MakeRoom() const { std::filesystem::remove(Ballast()); }

 private:
  std::string Ballast() const { return folder_ / "ballast"; }

  const ServerFolder folder_{"disk"};
  bool mounted_ = false;
};

TEST(Disk, FullAndWithRoomAgain) {
  const SmallDisk disk("32m", ServerUser());
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
  dev::TemporaryServer server = OwnServer();
  Migrate(server->conninfo());
  const pg::Connection admin = ConnectTo(server->conninfo());
  RunSql(admin.get(), "CREATE TABLESPACE small LOCATION '" + disk.folder() + "'");
  RunSql(admin.get(), "ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE small");
  RunSql(admin.get(), "ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE small");
  RunningTracer tracer(server->conninfo());
  tracer.Record(1000);
  ASSERT_TRUE(tracer.Flush().ok());
  disk.Fill();
  tracer.Record(5000);
  EXPECT_TRUE(Eventually([] { return LinesWith("[53100]") > 0; }));
  EXPECT_GE(LinesWith("disk is full: spanring retain"), 1);
  EXPECT_EQ(tracer.Counted().journalled, 5000U);
  EXPECT_EQ(tracer.Counted().dropped, 0U);
  disk.MakeRoom();
  ExpectAllArrived(admin.get(), tracer, 6000);
}

// About 10 MB of rows on a disk of 3 MB, while the database takes none.
int FillTheJournal(Tracer& tracer, const std::function<void()>& say) {
  for (int i = 0; i < 40'000; ++i) {
    tracer.StartSpan("fault", "step", {{"n", i}, {"padding", std::string(100, 'x')}}).Complete();
    if (i % 1000 == 999) usleep(10'000);
  }
  usleep(300'000);
  say();
  pause();
  return 0;
}

std::string FullRings(const TestDatabase& database) {
  return database.Value(
      "SELECT coalesce(sum((drops->>'ring_full')::bigint), 0) FROM trace_writers");
}

TEST(Disk, OfTheJournalIsFullAndTheProcessIsKilled) {
  const SmallDisk disk("3m", dev::Identity{});
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
  const TestDatabase database;
  const WriterFolders folders;
  Options options = folders.OptionsFor(database.conninfo());
  options.journal_dir = disk.journal();
  options.batch_rows = 2000;
  database.Run("ALTER TABLE trace_batches RENAME TO gone");
  TracedChild child(
      options, [](Tracer& tracer, TracedChild::Shared, const std::function<void()>& say) -> int {
        return FillTheJournal(tracer, say);
      });
  child.Await();
  child.Kill();
  database.Run("ALTER TABLE gone RENAME TO trace_batches");
  const recovery::Recovered recovered = RecoverAll(options);
  EXPECT_GT(recovered.from_journal, 2000U) << "what was whole stays";
  EXPECT_EQ(recovered.damaged, 0U);
  EXPECT_EQ(database.Value("SELECT spans_started FROM trace_writers"), "40000");
  EXPECT_EQ(database.Value("SELECT spans_persisted + spans_dropped FROM trace_writers"), "40000");
  EXPECT_EQ(database.Value("SELECT count(DISTINCT span_id) FROM trace_spans"),
            database.Value("SELECT spans_persisted FROM trace_writers"));
  EXPECT_GT(NumberOf(database.connection(), "SELECT (drops->>'crash')::bigint FROM trace_writers"),
            0);
}

TEST(Disk, OfTheJournalIsFullAndTheSpansArriveLater) {
  const SmallDisk disk("3m", dev::Identity{});
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small disk";
  const TestDatabase database;
  const WriterFolders folders;
  Options options = folders.OptionsFor(database.conninfo());
  options.journal_dir = disk.journal();
  options.batch_rows = 2000;
  database.Run("ALTER TABLE trace_batches RENAME TO gone");
  TracedChild child(
      options, [](Tracer& tracer, TracedChild::Shared, const std::function<void()>& say) -> int {
        return FillTheJournal(tracer, say);
      });
  child.Await();
  database.Run("ALTER TABLE gone RENAME TO trace_batches");
  EXPECT_TRUE(Eventually([&] {
    return database.Value("SELECT count(DISTINCT span_id) FROM trace_spans") ==
           absl::StrCat(40'000 - std::stoll(FullRings(database)));
  }));
}

}  // namespace
}  // namespace spanring::test
