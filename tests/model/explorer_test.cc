// What the model allows and forbids, on programs of a few lines whose outcomes are known.
#include "model/explorer.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

#include "model/model_sync.h"

namespace spanring::model {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;

using Outcome = std::vector<int>;

// Two or three atomics, a plain word, and what the threads read.
struct Litmus : Scenario {
  using Body = std::function<void(Litmus&)>;
  Litmus(const std::vector<Body>& bodies, std::set<Outcome>* outcomes)
      : bodies_(bodies), outcomes_(outcomes) {}

  std::vector<std::function<void()>> Threads() override {
    std::vector<std::function<void()>> threads;
    for (const Body& body : bodies_) threads.emplace_back([this, &body] { body(*this); });
    return threads;
  }
  void Finish() override { outcomes_->insert(Outcome(read.begin(), read.end())); }

  void WritePlain() {
    ModelSync::WillWrite(&plain, sizeof(plain));
    plain = 1;
  }
  void ReadPlain() { ModelSync::WillRead(&plain, sizeof(plain)); }

  ModelSync::Atomic<int> x{0};
  ModelSync::Atomic<int> y{0};
  std::uint64_t plain = 0;
  std::array<int, 4> read{-1, -1, -1, -1};

 private:
  const std::vector<Body>& bodies_;
  std::set<Outcome>* const outcomes_;
};

struct Result {
  Report report;
  std::set<Outcome> outcomes;
  bool Has(Outcome outcome) const {
    outcome.resize(4, -1);
    return outcomes.contains(outcome);
  }
};

// With and without sleep sets, which must not change what can be seen. Without them four threads
// take seconds.
Result Try(const std::vector<Litmus::Body>& bodies) {
  Result result;
  result.report = Explore([&] { return std::make_unique<Litmus>(bodies, &result.outcomes); });
  if (bodies.size() > 3) return result;
  std::set<Outcome> all;
  const Report full =
      Explore([&] { return std::make_unique<Litmus>(bodies, &all); }, {.sleep_sets = false});
  EXPECT_EQ(full.violation, result.report.violation);
  if (full.violation == Violation::kNone) {
    EXPECT_EQ(all, result.outcomes);
    EXPECT_EQ(full.cut_short, 0U);
    EXPECT_LE(result.report.executions, full.executions);
  }
  return result;
}

TEST(Explorer, AReleasedMessageArrivesWhole) {
  const Result result = Try({[](Litmus& t) {
                               t.x.store(1, kRelaxed);
                               t.y.store(1, kRelease);
                             },
                             [](Litmus& t) {
                               t.read[0] = t.y.load(kAcquire);
                               t.read[1] = t.x.load(kRelaxed);
                             }});
  EXPECT_EQ(result.outcomes.size(), 3U);
  EXPECT_FALSE(result.Has({1, 0}));
}

TEST(Explorer, ARelaxedMessageMayNot) {
  for (const auto& [store, load] : {std::pair(kRelaxed, kAcquire), std::pair(kRelease, kRelaxed)}) {
    const Result result = Try({[store](Litmus& t) {
                                 t.x.store(1, kRelaxed);
                                 t.y.store(1, store);
                               },
                               [load](Litmus& t) {
                                 t.read[0] = t.y.load(load);
                                 t.read[1] = t.x.load(kRelaxed);
                               }});
    EXPECT_EQ(result.outcomes.size(), 4U);
    EXPECT_TRUE(result.Has({1, 0}));
  }
}

TEST(Explorer, TwoThreadsMayBothMissTheOthersStore) {
  const Result result = Try({[](Litmus& t) {
                               t.x.store(1, kRelease);
                               t.read[0] = t.y.load(kAcquire);
                             },
                             [](Litmus& t) {
                               t.y.store(1, kRelease);
                               t.read[1] = t.x.load(kAcquire);
                             }});
  EXPECT_EQ(result.outcomes.size(), 4U);
  EXPECT_TRUE(result.Has({0, 0}));
}

TEST(Explorer, TwoReadersMayDisagreeAboutTheOrderOfTwoStores) {
  const Result result =
      Try({[](Litmus& t) { t.x.store(1, kRelease); }, [](Litmus& t) { t.y.store(1, kRelease); },
           [](Litmus& t) {
             t.read[0] = t.x.load(kAcquire);
             t.read[1] = t.y.load(kAcquire);
           },
           [](Litmus& t) {
             t.read[2] = t.y.load(kAcquire);
             t.read[3] = t.x.load(kAcquire);
           }});
  EXPECT_EQ(result.outcomes.size(), 16U);
  EXPECT_TRUE(result.Has({1, 0, 1, 0}));
}

TEST(Explorer, OneLocationIsReadInItsOrder) {
  const Result result = Try({[](Litmus& t) {
                               t.x.store(1, kRelaxed);
                               t.x.store(2, kRelaxed);
                             },
                             [](Litmus& t) {
                               t.read[0] = t.x.load(kRelaxed);
                               t.read[1] = t.x.load(kRelaxed);
                             }});
  // 00 01 02 11 12 22.
  EXPECT_EQ(result.outcomes.size(), 6U);
}

TEST(Explorer, UpdatesAreNeverLost) {
  const Litmus::Body add = [](Litmus& t) { t.x.fetch_add(1, kRelaxed); };
  const Litmus::Body add_and_read = [](Litmus& t) { t.read[0] = t.x.fetch_add(1, kRelaxed); };
  const Result result = Try({add, add, add_and_read});
  EXPECT_EQ(result.outcomes.size(), 3U);
}

TEST(Explorer, AReleaseSequenceGoesThroughUpdates) {
  const auto with = [](std::memory_order order) {
    return Try({[](Litmus& t) {
                  t.WritePlain();
                  t.x.fetch_add(1, kRelease);
                },
                [](Litmus& t) { t.x.fetch_add(2, kRelaxed); },
                [order](Litmus& t) {
                  t.read[0] = t.x.load(order);
                  if ((t.read[0] & 1) != 0) t.ReadPlain();
                }});
  };
  const Result result = with(kAcquire);
  EXPECT_EQ(result.report.violation, Violation::kNone) << result.report.what;
  EXPECT_EQ(result.outcomes.size(), 4U);
  EXPECT_EQ(with(kRelaxed).report.violation, Violation::kDataRace);
}

TEST(Explorer, AStoreBetweenEndsTheReleaseSequence) {
  const Result result = Try({[](Litmus& t) {
                               t.WritePlain();
                               t.x.store(1, kRelease);
                               t.x.store(2, kRelaxed);
                             },
                             [](Litmus& t) {
                               if (t.x.load(kAcquire) == 2) t.ReadPlain();
                             }});
  EXPECT_EQ(result.report.violation, Violation::kDataRace);
}

TEST(Explorer, PlainAccessesRaceUnlessOrdered) {
  EXPECT_EQ(
      Try({[](Litmus& t) { t.WritePlain(); }, [](Litmus& t) { t.ReadPlain(); }}).report.violation,
      Violation::kDataRace);
  EXPECT_EQ(
      Try({[](Litmus& t) { t.WritePlain(); }, [](Litmus& t) { t.WritePlain(); }}).report.violation,
      Violation::kDataRace);
  EXPECT_EQ(
      Try({[](Litmus& t) { t.ReadPlain(); }, [](Litmus& t) { t.ReadPlain(); }}).report.violation,
      Violation::kNone);
}

TEST(Explorer, AReadMustBeDoneBeforeTheNextWrite) {
  const auto give_back = [](std::memory_order order) {
    return Try({[order](Litmus& t) {
                  t.ReadPlain();
                  t.x.store(1, order);
                },
                [](Litmus& t) {
                  if (t.x.load(kAcquire) == 1) t.WritePlain();
                }})
        .report.violation;
  };
  EXPECT_EQ(give_back(kRelease), Violation::kNone);
  EXPECT_EQ(give_back(kRelaxed), Violation::kDataRace);
}

TEST(Explorer, AKilledThreadStopsBeforeAnyOfItsSteps) {
  const Result result = Try({[](Litmus& t) {
                               t.x.store(1, kRelaxed);
                               t.x.store(2, kRelaxed);
                               t.x.store(3, kRelaxed);
                             },
                             [](Litmus& t) {
                               Explorer::Current().Kill(1);
                               t.read[0] = t.x.load(kRelaxed);
                               t.read[1] = t.x.load(kRelaxed);
                             }});
  EXPECT_EQ(result.outcomes,
            (std::set<Outcome>{{0, 0, -1, -1}, {1, 1, -1, -1}, {2, 2, -1, -1}, {3, 3, -1, -1}}));
}

TEST(Explorer, SaysWhatItCannotFollow) {
  EXPECT_EQ(
      Try({[](Litmus& t) { t.x.store(1, kRelaxed); }, [](Litmus& t) { t.x.store(2, kRelaxed); }})
          .report.violation,
      Violation::kUnmodelled);
  EXPECT_EQ(Try({[](Litmus& t) { t.x.store(1, kRelaxed); },
                 [](Litmus& t) { t.x.fetch_add(2, kRelaxed); }})
                .report.violation,
            Violation::kUnmodelled);
  EXPECT_EQ(Try({[](Litmus& t) { t.x.store(1, std::memory_order_seq_cst); }}).report.violation,
            Violation::kUnmodelled);
  EXPECT_EQ(Try({[](Litmus& t) {
              while (t.x.load(kRelaxed) == 0) {
              }
            }}).report.violation,
            Violation::kUnmodelled);
}

TEST(Explorer, AWeakenedOrderIsRelaxed) {
  const auto with = [](const std::vector<Weakening>& weakened) {
    static std::set<Outcome> outcomes;
    static const std::vector<Litmus::Body> bodies = {[](Litmus& t) {
                                                       t.x.store(1, kRelaxed);
                                                       t.WritePlain();
                                                       t.x.store(2, kRelease);
                                                     },
                                                     [](Litmus& t) {
                                                       if (t.x.load(kAcquire) == 2) t.ReadPlain();
                                                     }};
    return Explore([] { return std::make_unique<Litmus>(bodies, &outcomes); },
                   {.weakened = weakened})
        .violation;
  };
  EXPECT_EQ(with({}), Violation::kNone);
  EXPECT_EQ(with({{.location = 0, .access = Access::kStore}}), Violation::kDataRace);
  EXPECT_EQ(with({{.location = 0, .access = Access::kStore, .nth = 2}}), Violation::kDataRace);
  EXPECT_EQ(with({{.location = 0, .access = Access::kLoad}}), Violation::kDataRace);
  EXPECT_EQ(with({{.location = 0, .access = Access::kStore, .nth = 1}}), Violation::kNone);
  EXPECT_EQ(with({{.location = 1, .access = Access::kStore}}), Violation::kNone);
}

}  // namespace
}  // namespace spanring::model
