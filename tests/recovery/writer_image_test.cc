#include "recovery/writer_image.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "recovery/folder_fixture.h"
#include "ring/this_thread.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::recovery {
namespace {

using ring::RecordHeader;

constinit internal::CallSiteData g_site{"service", "operation"};

// What a process with 30 ended spans and three open ones left, one of them with an extension.
class Image : public testing::Test {
 protected:
  void SetUp() override {
    const pid_t child = fork();
    if (child == 0) {
      ring::SetRegistry(MakeRegistryIn(folder_, 64 * 1024, 64));
      internal::g_mode.store(internal::Mode::kOn);
      for (int i = 0; i < 30; ++i) {
        internal::EndSpanCompleted(internal::StartSpan(TraceId(1, 2), SpanId(3), g_site));
      }
      internal::StartSpan(TraceId(1, 2), SpanId(4), g_site);
      internal::SetExecutionContext(internal::StartSpan(TraceId(1, 2), SpanId(5), "s", "o"), "job",
                                    2193, "model", "region");
      internal::SetAttribute(internal::StartSpan(TraceId(1, 2), SpanId(6), g_site), "large",
                             std::string_view(std::string(5000, 'y')));
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }
  std::vector<std::vector<std::uint8_t>> Files() const {
    std::vector<std::vector<std::uint8_t>> files;
    const platform::Fd fd = folder_.Open();
    const auto names = platform::NamesIn(fd.get());
    for (const std::string& name : *names) {
      const auto file = platform::OpenFileAt(fd.get(), name, /*create=*/false);
      files.push_back(*platform::ReadFile(*file, 1 << 24));
    }
    return files;
  }
  TemporaryFolder folder_;
};

TEST_F(Image, HoldsWhatEndedAndWhatWasOpen) {
  const auto image = WriterImage::Read(folder_.Open().get());
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->next_sequence(), 42U);
  EXPECT_EQ(image->batch_rows(), 100U);
  EXPECT_EQ(image->Count().started, 33U);
  int ended = 0;
  std::vector<std::uint64_t> parents;
  std::size_t large = 0;
  image->ForEachSpan([&](const RecordHeader& record, bool was_open) {
    if (!was_open) {
      EXPECT_EQ(image->names()[record.site].second, "operation");
      ++ended;
      return true;
    }
    parents.push_back(record.parent_id);
    EXPECT_EQ(record.status, ring::RecordStatus::kFailed);
    bool has_type = false;
    ring::ItemReader items(ring::ItemsOf(&record));
    while (const auto item = items.Next()) {
      has_type |= item->kind == ring::ItemKind::kErrorType && item->value == "process_crash";
      if (item->key == "large") large = item->value.size();
    }
    EXPECT_TRUE(has_type);
    EXPECT_EQ((record.flags & ring::kHasExecutionId) != 0, record.parent_id == 5);
    return true;
  });
  EXPECT_EQ(ended, 30);
  EXPECT_EQ(parents, (std::vector<std::uint64_t>{4, 5, 6}));
  EXPECT_EQ(large, 5000U) << "from the extension";
}

TEST_F(Image, IsTheSameEveryTime) {
  std::vector<std::uint64_t> first;
  for (int round = 0; round < 2; ++round) {
    const auto image = WriterImage::Read(folder_.Open().get());
    std::vector<std::uint64_t> ids;
    image->ForEachSpan([&](const RecordHeader& record, bool) {
      ids.push_back(record.span_id);
      return true;
    });
    if (round == 0) first = ids;
    EXPECT_EQ(ids, first);
  }
  EXPECT_EQ(first.size(), 33U);
}

TEST_F(Image, WhatTheJournalHoldsIsTakenOutInTheFilesToo) {
  auto image = WriterImage::Read(folder_.Open().get());
  ASSERT_TRUE(image.ok());
  ASSERT_TRUE(image->Advance(folder_.Open().get(), {{2, 20 * 64}}).ok());
  const auto again = WriterImage::Read(folder_.Open().get());
  int ended = 0;
  again->ForEachSpan([&](const RecordHeader&, bool was_open) {
    ended += was_open ? 0 : 1;
    return true;
  });
  EXPECT_EQ(ended, 10);
}

TEST_F(Image, AnotherVersionIsRefusedAndLeft) {
  WriterImage image;
  std::vector<std::uint8_t> other = Files().front();
  other[offsetof(ring::PageHeader, version)] = 77;
  EXPECT_TRUE(absl::IsFailedPrecondition(image.Add(std::move(other))));
}

TEST_F(Image, WithoutAControlFileThereWasNoSpan) {
  const TemporaryFolder empty;
  EXPECT_TRUE(absl::IsNotFound(WriterImage::Read(empty.Open().get()).status()));
}

// Random bytes in random places: whatever comes out lies inside the files (ASan watches).
TEST_F(Image, DamageIsSurvived) {
  const char* chosen = std::getenv("SPANRING_TEST_SEED");
  const std::uint32_t seed = chosen != nullptr
                                 ? static_cast<std::uint32_t>(std::strtoul(chosen, nullptr, 10))
                                 : std::random_device()();
  std::printf("seed %u\n", seed);
  std::mt19937_64 random(seed);
  const std::vector<std::vector<std::uint8_t>> files = Files();
  for (int round = 0; round < 200; ++round) {
    WriterImage image;
    for (std::vector<std::uint8_t> bytes : files) {
      for (int i = 0; i < 20 && !bytes.empty(); ++i) {
        // Half of them in the header, where they hurt.
        const std::size_t room =
            i % 2 == 0 ? std::min<std::size_t>(256, bytes.size()) : bytes.size();
        bytes[random() % room] = static_cast<std::uint8_t>(random());
      }
      if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 1));
      if (bytes.size() > 16) {
        std::memcpy(bytes.data(), &ring::kPageMagic, sizeof(ring::kPageMagic));
        std::memcpy(bytes.data() + 8, &ring::kPageVersion, sizeof(ring::kPageVersion));
      }
      ASSERT_TRUE(image.Add(std::move(bytes)).ok());
    }
    if (!image.has_control()) continue;
    flush::RowEncoder encoder(image.service(), &image.names());
    const platform::TickCalibration clock = image.clock();
    std::vector<std::uint8_t> rows;
    std::uint64_t spans = 0;
    image.ForEachSpan([&](const RecordHeader& record, bool) {
      rows.clear();
      encoder.Append(record, clock, rows);
      EXPECT_EQ(flush::RowLength({reinterpret_cast<const char*>(rows.data()), rows.size()}),
                rows.size());
      return ++spans < 100'000;
    });
    static_cast<void>(image.Count());
  }
}

}  // namespace
}  // namespace spanring::recovery
