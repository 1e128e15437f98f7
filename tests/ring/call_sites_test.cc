#include "ring/call_sites.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ring/producer.h"
#include "ring/record.h"
#include "ring/registry.h"
#include "ring/this_thread.h"

namespace spanring::ring {
namespace {

TEST(CallSites, NumbersAreUniqueAndNamesAreCopied) {
  std::set<std::uint16_t> numbers;
  for (int i = 0; i < 10; ++i) {
    std::string service = "service " + std::to_string(i);
    std::string operation = "operation " + std::to_string(i);
    internal::CallSiteData site{service, operation};
    const std::uint16_t number = RegisterCallSite(site);
    ASSERT_NE(number, 0);
    EXPECT_TRUE(numbers.insert(number).second);
    EXPECT_EQ(site.number.load(), number);
    service.assign(service.size(), 'x');
    operation.assign(operation.size(), 'x');
    EXPECT_EQ(LookupCallSite(number).service, "service " + std::to_string(i));
    EXPECT_EQ(LookupCallSite(number).operation, "operation " + std::to_string(i));
  }
}

TEST(CallSites, LongNamesAreCutBetweenCharacters) {
  std::string service = "a";
  while (service.size() < 400) service += "é";
  const std::string operation(1000, 'o');
  internal::CallSiteData site{service, operation};
  const CallSiteNames names = LookupCallSite(RegisterCallSite(site));
  EXPECT_EQ(names.service, service.substr(0, 255));
  EXPECT_EQ(names.operation, operation.substr(0, 255));
}

TEST(CallSites, EmptyNamesAreKept) {
  internal::CallSiteData site{"", ""};
  const std::uint16_t number = RegisterCallSite(site);
  EXPECT_NE(number, 0);
  EXPECT_EQ(LookupCallSite(number).service, "");
  EXPECT_EQ(LookupCallSite(number).operation, "");
}

TEST(CallSites, UnknownNumbersHaveNoNames) {
  for (const std::uint16_t number : {std::uint16_t{0}, kMaxCallSites, std::uint16_t{65'535}}) {
    EXPECT_EQ(LookupCallSite(number).service, "");
    EXPECT_EQ(LookupCallSite(number).operation, "");
  }
}

TEST(CallSites, ThreadsThatRaceForOneSiteGetOneNumber) {
  for (int round = 0; round < 200; ++round) {
    internal::CallSiteData site{"racing", "operation"};
    std::array<std::uint16_t, 2> seen{};
    std::atomic<int> ready{0};
    std::array<std::thread, 2> threads;
    for (std::size_t i = 0; i < 2; ++i) {
      threads[i] = std::thread([&, i] {
        ready.fetch_add(1);
        while (ready.load() < 2) std::this_thread::yield();
        seen[i] = RegisterCallSite(site);
        EXPECT_EQ(LookupCallSite(seen[i]).service, "racing");
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_NE(seen[0], 0);
    ASSERT_EQ(seen[0], seen[1]);
    ASSERT_EQ(site.number.load(), seen[0]);
  }
}

// As when a plugin is unloaded and loaded again: other sites, at other addresses, the same names.
TEST(CallSites, EqualNamesHaveOneNumber) {
  internal::CallSiteData first{"reloaded", "operation"};
  const std::uint16_t number = RegisterCallSite(first);
  for (int i = 0; i < 3 * kMaxCallSites; ++i) {
    const std::string service = "reloaded";
    const std::string operation = "operation";
    internal::CallSiteData again{service, operation};
    ASSERT_EQ(RegisterCallSite(again), number);
  }
  // The same letters, divided otherwise.
  internal::CallSiteData other{"reloadedop", "eration"};
  EXPECT_NE(RegisterCallSite(other), number);
  EXPECT_EQ(LookupCallSite(other.number.load()).service, "reloadedop");
}

TEST(CallSites, ThreadsThatRaceForManyNamesAgree) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kNames = 300;
  std::array<std::vector<std::uint16_t>, kThreads> seen;
  std::atomic<std::size_t> ready{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      ready.fetch_add(1);
      while (ready.load() < kThreads) std::this_thread::yield();
      for (std::size_t i = 0; i < kNames; ++i) {
        const std::string operation = "contended " + std::to_string(i);
        internal::CallSiteData site{"racing", operation};
        seen[t].push_back(RegisterCallSite(site));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::uint16_t> numbers;
  for (std::size_t i = 0; i < kNames; ++i) {
    const std::uint16_t number = seen[0][i];
    ASSERT_NE(number, 0);
    EXPECT_TRUE(numbers.insert(number).second);
    EXPECT_EQ(LookupCallSite(number).operation, "contended " + std::to_string(i));
    for (std::size_t t = 1; t < kThreads; ++t) EXPECT_EQ(seen[t][i], number);
  }
}

// Fills the table for good, so it runs in a process of its own, which it ends.
[[noreturn]] void FillTheTableAndRecord() {
  std::vector<std::unique_ptr<internal::CallSiteData>> sites;
  std::vector<std::string> operations;
  for (int i = 0; i < kMaxCallSites; ++i) operations.push_back("operation " + std::to_string(i));
  for (const std::string& operation : operations) {
    sites.push_back(std::make_unique<internal::CallSiteData>(std::string_view("filler"),
                                                             std::string_view(operation)));
    RegisterCallSite(*sites.back());
  }
  Registry registry(64 * 1024, 64);
  SetRegistry(&registry);
  internal::CallSiteData late{"late service", "late operation"};
  internal::EndSpanCompleted(internal::StartSpan(TraceId(1, 2), SpanId(), late));
  Ring& ring = registry.first()->ring();
  ring.Refresh();
  const RecordHeader* record = ring.Peek();
  if (record == nullptr || record->site != 0 || late.number.load() != 0) _exit(1);
  ItemReader reader(ItemsOf(record));
  const auto service = reader.Next();
  const auto operation = reader.Next();
  if (!service || service->kind != ItemKind::kService || service->value != "late service") _exit(2);
  if (!operation || operation->kind != ItemKind::kOperation ||
      operation->value != "late operation") {
    _exit(3);
  }
  // The early sites keep theirs: all numbers but 0 were given, each once.
  std::set<std::uint16_t> numbers;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    const std::uint16_t number = sites[i]->number.load();
    if (number == 0) continue;
    if (!numbers.insert(number).second) _exit(4);
    if (LookupCallSite(number).operation != operations[i]) _exit(5);
  }
  if (numbers.size() != kMaxCallSites - 1) _exit(6);
  _exit(0);
}

TEST(CallSitesDeathTest, FullTableFallsBackToNamesInTheRecord) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(FillTheTableAndRecord(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace spanring::ring
