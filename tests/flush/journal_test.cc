#include "flush/journal.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <set>

#include "runtime/sanitizers.h"

namespace spanring::flush {
namespace {

void AddRow(Journal& journal, std::size_t bytes) {
  Batch* batch = journal.Open();
  ASSERT_NE(batch, nullptr);
  batch->data.resize(batch->data.size() + bytes);
  ++batch->rows;
  journal.CountAppended(bytes);
}

TEST(Journal, NothingIsSealedWithoutRows) {
  Journal journal({.capacity_bytes = 1000});
  journal.Seal();
  ASSERT_NE(journal.Open(), nullptr);
  journal.Seal();
  EXPECT_EQ(journal.Take(), nullptr);
  EXPECT_EQ(journal.waiting(), 0U);
}

TEST(Journal, BatchesComeOutInOrderWithTheirSequences) {
  Journal journal({.capacity_bytes = 1000, .next_sequence = 41});
  for (int i = 0; i < 3; ++i) {
    AddRow(journal, 10);
    journal.Seal();
  }
  EXPECT_EQ(journal.next_sequence(), 44U);
  EXPECT_EQ(journal.waiting(), 3U);
  for (std::uint64_t sequence = 41; sequence < 44; ++sequence) {
    Batch* batch = journal.Take();
    ASSERT_NE(batch, nullptr);
    EXPECT_EQ(batch->sequence, sequence);
    EXPECT_EQ(batch->rows, 1U);
    EXPECT_EQ(batch->data.size(), 10U);
    journal.Done(batch);
  }
  EXPECT_EQ(journal.Take(), nullptr);
  EXPECT_EQ(journal.waiting(), 0U);
  EXPECT_EQ(journal.bytes(), 0U);
}

TEST(Journal, ABacklogsBuffersAreFreed) {
  if (kSanitizer) GTEST_SKIP() << "the memory is a sanitizer's";
  constexpr std::size_t kBytes = 4 << 20;
  constexpr int kBatches = 15;
  Journal journal({.capacity_bytes = 1 << 30});
  const std::size_t before = mallinfo2().hblkhd;
  for (int i = 0; i < kBatches; ++i) {
    AddRow(journal, kBytes);
    journal.Seal();
  }
  EXPECT_GE(mallinfo2().hblkhd - before, kBatches * kBytes);
  for (int i = 0; i < kBatches; ++i) journal.Done(journal.Take());
  EXPECT_LE(mallinfo2().hblkhd - before, 4 * (kBytes + 4096));
}

TEST(Journal, TheOldestToDropIsOneThatNoOtherDependsOn) {
  Journal journal({.capacity_bytes = 1000});
  for (const bool closes : {true, false, true}) {
    AddRow(journal, 10);
    if (closes) journal.OpenForClosed()->closed.push_back({TraceId(1, 2), SpanId(3)});
    journal.Seal();
  }
  for (const std::uint64_t sequence : {2, 1, 3}) {
    Batch* batch = journal.TakeOldest();
    ASSERT_NE(batch, nullptr);
    EXPECT_EQ(batch->sequence, sequence);
    journal.Done(batch);
  }
  EXPECT_EQ(journal.TakeOldest(), nullptr);
}

TEST(Journal, AFullJournalRefusesUntilABatchIsDone) {
  Journal journal({.capacity_bytes = 100});
  AddRow(journal, 60);
  AddRow(journal, 60);  // The row that fills it may reach beyond.
  EXPECT_EQ(journal.Open(), nullptr);
  journal.Seal();
  EXPECT_EQ(journal.Open(), nullptr) << "sealed is not delivered";
  Batch* batch = journal.Take();
  ASSERT_NE(batch, nullptr);
  EXPECT_EQ(journal.Open(), nullptr) << "nor is taken";
  EXPECT_EQ(journal.waiting(), 1U);
  journal.Done(batch);
  EXPECT_NE(journal.Open(), nullptr);
  EXPECT_EQ(journal.bytes(), 0U);
}

TEST(Journal, EmptiedBatchesAreUsedAgain) {
  Journal journal({.capacity_bytes = 1000});
  std::set<const Batch*> seen;
  for (int i = 0; i < 100; ++i) {
    AddRow(journal, 10);
    journal.Seal();
    Batch* batch = journal.Take();
    ASSERT_NE(batch, nullptr);
    seen.insert(batch);
    journal.Done(batch);
    Batch* next = journal.Open();
    ASSERT_NE(next, nullptr);
    EXPECT_EQ(next->rows, 0U);
    EXPECT_TRUE(next->data.empty());
  }
  EXPECT_LE(seen.size(), 2U);
}

TEST(Journal, ABatchIsAsOldAsItsFirstRow) {
  Journal journal({.capacity_bytes = 1000});
  Batch* batch = journal.Open();
  const std::int64_t opened = batch->opened_ns;
  EXPECT_GT(opened, 0);
  AddRow(journal, 1);
  const std::int64_t first = batch->opened_ns;
  EXPECT_GE(first, opened);
  AddRow(journal, 1);
  EXPECT_EQ(batch->opened_ns, first);
}

TEST(Journal, WhatIsLeftIsFreedWithIt) {
  Journal journal({.capacity_bytes = 1000});
  AddRow(journal, 10);
  journal.Seal();
  AddRow(journal, 10);
}

}  // namespace
}  // namespace spanring::flush
