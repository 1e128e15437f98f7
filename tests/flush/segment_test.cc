#include "flush/segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "recovery/folder_fixture.h"

namespace spanring::flush {
namespace {

using recovery::TemporaryFolder;

const TraceId kWriter(3, 4);

std::string BytesOf(const TemporaryFolder& folder, std::uint64_t sequence) {
  const platform::Fd fd = folder.Open();
  const auto file = platform::OpenFileAt(fd.get(), SegmentName(sequence), /*create=*/false);
  const auto bytes = platform::ReadFile(*file, 1 << 20);
  return {bytes->begin(), bytes->end()};
}

// Two frames: "first" is one row, "second" two.
std::string TwoFrames(const TemporaryFolder& folder) {
  const platform::Fd fd = folder.Open();
  auto writer = SegmentWriter::Create(fd.get(), kWriter, 9);
  EXPECT_TRUE(writer.ok()) << writer.status();
  EXPECT_TRUE(writer->Append("first", 1, {{1, 64}, {2, 128}}).ok());
  EXPECT_TRUE(writer->Append("second", 2, {{1, 256}}).ok());
  return BytesOf(folder, 9);
}

std::string RowsOf(const Segment& segment) { return {segment.data.begin(), segment.data.end()}; }

std::uint64_t PositionOf(const Segment& segment, std::uint64_t producer) {
  for (const RingPosition& position : segment.positions) {
    if (position.producer == producer) return position.position;
  }
  return 0;
}

TEST(Segment, GivesBackWhatWasAppended) {
  const TemporaryFolder folder;
  const auto segment = ReadSegment(TwoFrames(folder));
  ASSERT_TRUE(segment.ok()) << segment.status();
  EXPECT_EQ(segment->writer, kWriter);
  EXPECT_EQ(segment->sequence, 9U);
  EXPECT_EQ(segment->rows, 3U);
  EXPECT_EQ(RowsOf(*segment), "firstsecond");
  EXPECT_EQ(PositionOf(*segment, 1), 256U);
  EXPECT_EQ(PositionOf(*segment, 2), 128U);
  EXPECT_FALSE(segment->has_rest);
}

// A process may be killed, and a disk be full, in the midst of a frame.
TEST(Segment, CutAnywhereItGivesTheWholeFrames) {
  const TemporaryFolder folder;
  const std::string whole = TwoFrames(folder);
  std::size_t last_rows = 0;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto segment = ReadSegment(std::string_view(whole).substr(0, length));
    if (length < 64) {
      EXPECT_TRUE(absl::IsDataLoss(segment.status())) << length;
      continue;
    }
    ASSERT_TRUE(segment.ok()) << length;
    EXPECT_TRUE(segment->rows == 0 || segment->rows == 1) << length;
    EXPECT_EQ(RowsOf(*segment), segment->rows == 0 ? "" : "first");
    EXPECT_EQ(PositionOf(*segment, 1), segment->rows == 0 ? 0U : 64U) << "no rows, no position";
    EXPECT_GE(segment->rows, last_rows);
    last_rows = segment->rows;
  }
  EXPECT_EQ(last_rows, 1U);
}

TEST(Segment, AChangedBitIsNeverReadAsARow) {
  const TemporaryFolder folder;
  const std::string whole = TwoFrames(folder);
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const auto segment = ReadSegment(damaged);
    if (!segment.ok()) continue;
    EXPECT_LT(segment->rows, 3U) << bit;
    EXPECT_EQ(RowsOf(*segment), segment->rows == 0 ? "" : "first") << bit;
  }
}

// How many spans are lost is known by the frames that have their length.
TEST(Segment, DamagedFramesSayHowManyRowsTheyHad) {
  const TemporaryFolder folder;
  const platform::Fd fd = folder.Open();
  {
    auto writer = SegmentWriter::Create(fd.get(), kWriter, 9);
    ASSERT_TRUE(writer.ok());
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(writer->Append(std::string(700, 'r'), 5, {}).ok());
  }
  std::string bytes = BytesOf(folder, 9);
  EXPECT_EQ(RowsClaimed(bytes), 10U);
  bytes[bytes.size() - 1] ^= 1;
  EXPECT_EQ(ReadSegment(bytes)->rows, 5U);
  EXPECT_EQ(RowsClaimed(bytes), 10U);
  bytes.pop_back();
  EXPECT_EQ(RowsClaimed(bytes), 5U) << "it was cut off: its rows are in the rings";
  EXPECT_EQ(RowsClaimed(""), 0U);
}

TEST(Segment, AnotherVersionIsNotTouched) {
  const TemporaryFolder folder;
  std::string other = TwoFrames(folder);
  other[8] = 99;
  EXPECT_TRUE(absl::IsFailedPrecondition(ReadSegment(other).status()));
}

TEST(Segment, NamesSayTheirSequence) {
  EXPECT_EQ(SegmentName(42), "00000000000000000042.segment");
  EXPECT_EQ(SequenceOf(SegmentName(42)), 42U);
  EXPECT_EQ(SequenceOf(SegmentName(~std::uint64_t{0})), ~std::uint64_t{0});
  for (const char* other : {"", "lock", "owner", "x.segment", "-1.segment", "42.segment~",
                            "99999999999999999999999.segment"}) {
    EXPECT_EQ(SequenceOf(other), 0U) << other;
  }
}

TEST(Segment, IsForItsOwnerAlone) {
  const TemporaryFolder folder;
  TwoFrames(folder);
  struct stat status{};
  ASSERT_EQ(stat((folder.path() + "/" + SegmentName(9)).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
}

// In a process of its own: the limit would stay.
int AppendBeyondTheLimit(const TemporaryFolder& folder) {
  const pid_t child = fork();
  if (child == 0) {
    const platform::Fd fd = folder.Open();
    auto writer = SegmentWriter::Create(fd.get(), kWriter, 9);
    if (!writer->Append("first", 1, {}).ok()) _exit(1);
    const rlimit limit{512, 512};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(2);
    if (writer->Append(std::string(1000, 'x'), 7, {}).ok()) _exit(3);
    if (!writer->Append("last", 1, {}).ok()) _exit(4);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(Segment, AFileThatMayNotGrowRefusesAndKillsNobody) {
  const TemporaryFolder folder;
  EXPECT_EQ(AppendBeyondTheLimit(folder), 0);
  const auto segment = ReadSegment(BytesOf(folder, 9));
  ASSERT_TRUE(segment.ok());
  EXPECT_EQ(RowsOf(*segment), "firstlast");
  EXPECT_EQ(segment->rows, 2U);
}

}  // namespace
}  // namespace spanring::flush
