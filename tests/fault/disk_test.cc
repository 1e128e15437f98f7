// Fault: the server's disk is full.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"
#include "fault/fixture.h"

namespace spanring::test {
namespace {

// A small file system in a folder. It is mounted for this process and its children only, the server
// among them, so that it goes with the last of them however that ends.
class SmallDisk {
 public:
  SmallDisk() {
    const dev::Identity user = ServerUser();
    const std::string options =
        absl::StrCat("size=32m,mode=0700,uid=", user.uid, ",gid=", user.gid);
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
  const SmallDisk disk;
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

}  // namespace
}  // namespace spanring::test
