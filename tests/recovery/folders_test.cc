#include "recovery/folders.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "recovery/folder_fixture.h"

namespace spanring::recovery {
namespace {

namespace fs = std::filesystem;

const TraceId kWriter(0x0123456789abcdef, 0x1122334455667788);

class Folders : public testing::Test {
 protected:
  std::string Root() const { return folder_.path() + "/root"; }
  std::string Own() const { return Root() + "/" + kWriter.ToUuid(); }
  Roots Both() const { return {Root(), ""}; }
  TemporaryFolder folder_;
};

mode_t ModeOf(const std::string& path) {
  struct stat status{};
  return lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

TEST_F(Folders, AreMadeForTheirOwnerAlone) {
  const auto made = MakeFolder(Root(), kWriter, {"1.0", "runner", "host:5432/db", 77});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(ModeOf(Root()), 0700U);
  EXPECT_EQ(ModeOf(Own()), 0700U);
  EXPECT_EQ(ModeOf(Own() + "/lock"), 0600U);
  EXPECT_EQ(ModeOf(Own() + "/owner"), 0600U);
  const Owner owner = ReadOwner(*made);
  EXPECT_EQ(owner.version, "1.0");
  EXPECT_EQ(owner.service, "runner");
  EXPECT_EQ(owner.target, "host:5432/db");
  EXPECT_EQ(owner.pid, 77U);
}

TEST_F(Folders, AreTakenOnlyWhenTheirOwnerIsGone) {
  {
    const auto made = MakeFolder(Root(), kWriter, {});
    ASSERT_TRUE(made.ok());
    EXPECT_TRUE(absl::IsAborted(TakeFolder(Root(), kWriter).status()));
    EXPECT_FALSE(AnyOrphan(Both()));
  }
  EXPECT_TRUE(AnyOrphan(Both()));
  const auto taken = TakeFolder(Root(), kWriter);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_TRUE(absl::IsAborted(TakeFolder(Root(), kWriter).status())) << "by one at a time";
  RemoveFiles(*taken);
  EXPECT_FALSE(fs::exists(Own()));
  EXPECT_TRUE(absl::IsNotFound(TakeFolder(Root(), kWriter).status()));
}

TEST_F(Folders, OfAKilledProcessAreFree) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto made = MakeFolder(Root(), kWriter, {});
    [[maybe_unused]] const auto written = write(pipe_fds[1], made.ok() ? "y" : "n", 1);
    pause();
  }
  char answer = 0;
  ASSERT_EQ(read(pipe_fds[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_TRUE(absl::IsAborted(TakeFolder(Root(), kWriter).status()));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(TakeFolder(Root(), kWriter).ok());
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST_F(Folders, ASymbolicLinkIsRefused) {
  fs::create_directory(folder_.path() + "/elsewhere");
  fs::permissions(folder_.path() + "/elsewhere", fs::perms::owner_all);
  fs::create_symlink(folder_.path() + "/elsewhere", Root());
  EXPECT_TRUE(absl::IsFailedPrecondition(MakeFolder(Root(), kWriter, {}).status()));
  EXPECT_TRUE(fs::is_empty(folder_.path() + "/elsewhere"));
}

TEST_F(Folders, AWritersFolderThatIsALinkIsRefused) {
  ASSERT_TRUE(MakeFolder(Root(), TraceId(1, 1), {}).ok());
  fs::create_symlink(Root() + "/" + TraceId(1, 1).ToUuid(), Own());
  EXPECT_TRUE(absl::IsFailedPrecondition(TakeFolder(Root(), kWriter).status()));
}

TEST_F(Folders, ARootThatIsOpenToOthersIsRefused) {
  fs::create_directory(Root());
  for (const fs::perms open : {fs::perms::group_write, fs::perms::others_read}) {
    fs::permissions(Root(), fs::perms::owner_all | open);
    const absl::Status status = MakeFolder(Root(), kWriter, {}).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  }
}

TEST_F(Folders, ARootOfAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  fs::create_directory(Root());
  fs::permissions(Root(), fs::perms::owner_all);
  ASSERT_EQ(chown(Root().c_str(), 12345, 12345), 0);
  const absl::Status status = MakeFolder(Root(), kWriter, {}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(status.message().find("another user"), absl::string_view::npos);
}

// As with the root in /var/tmp, of a process without HOME.
TEST_F(Folders, AParentThatSomebodyElseCouldHaveMadeIsRefused) {
  const std::string everybodys = folder_.path() + "/everybodys";
  fs::create_directory(everybodys);
  fs::permissions(everybodys, fs::perms::all | fs::perms::sticky_bit);
  const std::string parent = everybodys + "/spanring";
  EXPECT_TRUE(MakeFolder(parent + "/journal", TraceId(1, 1), {}).ok());
  EXPECT_EQ(ModeOf(parent), 0700U);
  const auto refused = [&] {
    const absl::Status status = MakeFolder(parent + "/journal", kWriter, {}).status();
    return absl::IsFailedPrecondition(status) &&
           status.message().find(parent) != absl::string_view::npos;
  };
  fs::permissions(parent, fs::perms::owner_all | fs::perms::group_write);
  EXPECT_TRUE(refused());
  fs::permissions(parent, fs::perms::owner_all | fs::perms::others_write);
  EXPECT_TRUE(refused());
  fs::permissions(parent, fs::perms::owner_all);
  EXPECT_FALSE(refused());
  fs::rename(parent, everybodys + "/elsewhere");
  fs::create_directory_symlink(everybodys + "/elsewhere", parent);
  EXPECT_TRUE(refused());
  if (geteuid() != 0) return;
  fs::remove(parent);
  fs::rename(everybodys + "/elsewhere", parent);
  ASSERT_EQ(chown(parent.c_str(), 12345, 12345), 0);
  EXPECT_TRUE(refused());
}

TEST_F(Folders, SayOfTheirWriterWhereItsOtherFolderIs) {
  const Place place = Place::Of(folder_.path());
  ASSERT_TRUE(place.exists());
  const auto made = MakeFolder(Root(), kWriter, {});
  ASSERT_TRUE(made.ok());
  EXPECT_FALSE(ReadOwner(*made).partner.exists());
  ASSERT_TRUE(AddPartner(*made, place).ok());
  const Owner owner = ReadOwner(*made);
  EXPECT_EQ(owner.boot, BootId());
  EXPECT_EQ(owner.boot.size(), 36U);
  EXPECT_EQ(owner.partner, place);
  EXPECT_EQ(owner.partner.path, folder_.path());
  EXPECT_FALSE(owner.partner == Place::Of(Root()));
  EXPECT_FALSE(Place::Of("/nowhere") == Place::Of("/nowhere"));
}

TEST_F(Folders, AnOwnerIsWrittenAnewWhateverAnEarlierTryLeft) {
  const auto made = MakeFolder(Root(), TraceId(1, 2), {});
  ASSERT_TRUE(made.ok());
  const std::string left = Root() + "/" + made->name + "/owner.new";
  std::ofstream(left) << "half of an ow";
  Owner owner;
  owner.target = "h:5432/d";
  owner.partner = Place::Of(Root());
  ASSERT_TRUE(WriteOwner(*made, owner).ok());
  ASSERT_TRUE(WriteOwner(*made, owner).ok());
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_EQ(ReadOwner(*made).target, "h:5432/d");
  EXPECT_EQ(ReadOwner(*made).partner, Place::Of(Root()));
}

TEST_F(Folders, AFileWithASecondNameIsRefused) {
  {
    ASSERT_TRUE(MakeFolder(Root(), kWriter, {}).ok());
  }
  fs::create_hard_link(Own() + "/lock", folder_.path() + "/second");
  EXPECT_TRUE(absl::IsFailedPrecondition(TakeFolder(Root(), kWriter).status()));
}

TEST_F(Folders, APlaceThatCannotBeWrittenIsSaid) {
  EXPECT_FALSE(MakeFolder("/proc/nowhere", kWriter, {}).ok());
  EXPECT_FALSE(MakeFolder("/dev/null/folder", kWriter, {}).ok());
}

TEST_F(Folders, AHalfMadeOneOfLongAgoIsRemoved) {
  ASSERT_TRUE(MakeFolder(Root(), TraceId(1, 1), {}).ok());
  const std::string half = Root() + "/.new-" + kWriter.ToUuid();
  fs::create_directory(half);
  fs::permissions(half, fs::perms::owner_all);
  EXPECT_EQ(WritersIn(Both()).size(), 1U);
  EXPECT_TRUE(fs::exists(half)) << "its owner may be about to go on";
  fs::last_write_time(half, fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_EQ(WritersIn(Both()).size(), 1U);
  EXPECT_FALSE(fs::exists(half));
}

TEST_F(Folders, OffMeansNone) {
  Options options;
  options.ring_dir = "off";
  options.journal_dir = "off";
  EXPECT_EQ(RootsOf(options).rings, "");
  EXPECT_EQ(RootsOf(options).journal, "");
  options.ring_dir = "/x";
  EXPECT_EQ(RootsOf(options).rings, "/x");
}

TEST(OwnerText, IsReadBackAndHarmlessWhateverItHolds) {
  const Owner owner{"1.2", "a service", "h:1/d", 3};
  const Owner back = OwnerFromText(ToText(owner));
  EXPECT_EQ(back.service, owner.service);
  EXPECT_EQ(back.target, owner.target);
  EXPECT_EQ(back.pid, 3U);
  EXPECT_EQ(OwnerFromText("pid x\n\n\nservice\ntarget  two\n\xff").target, " two");
  EXPECT_EQ(OwnerFromText("").pid, 0U);
  for (const char* odd :
       {"partner ", "partner 1", "partner 1 2", "partner x 2 /y", "partner 1 x "}) {
    EXPECT_FALSE(OwnerFromText(odd).partner.exists()) << odd;
  }
  EXPECT_EQ(OwnerFromText("partner 1 2 /a b").partner.path, "/a b");
}

}  // namespace
}  // namespace spanring::recovery
