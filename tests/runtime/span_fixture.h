// Tracing from the public calls to the rows, without the runtime's threads.
// Threads: of a test. Memory: registries are never destroyed.
// Errors: a row that is not of the form fails the test.
// Design: docs/architecture.md
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "flush/row.h"
#include "ring/this_thread.h"
#include "spanring/tracer.h"

namespace spanring {

using flush::Column;
using flush::Row;

// Tracing is on, into a registry of the test's own that nobody drains but Rows().
class SpanTest : public testing::Test {
 protected:
  SpanTest() : registry_(*new ring::Registry(1024 * 1024, 100)) {
    registries_.push_back(&registry_);
    ring::SetRegistry(&registry_);
    internal::g_mode.store(internal::Mode::kOn);
  }
  ~SpanTest() override {
    internal::g_mode.store(internal::Mode::kOff);
    ring::SetRegistry(nullptr);
  }

  // Runs on a thread of its own, which takes its producer from this test's registry.
  template <typename Body>
  static void Do(Body body) {
    std::thread(body).join();
  }
  std::vector<Row> Rows() {
    const platform::TickCalibration clock;
    flush::RowEncoder encoder("default");
    std::vector<Row> rows;
    for (ring::Producer* p = registry_.first(); p != nullptr; p = p->next) {
      p->ring().Refresh();
      while (const ring::RecordHeader* record = p->ring().Peek()) {
        std::vector<std::uint8_t> bytes;
        encoder.Append(*record, clock, bytes);
        rows.push_back(flush::OnlyRow(bytes));
        p->ring().Advance(record);
      }
      p->ring().GiveBack();
    }
    return rows;
  }
  template <typename Body>
  Row RowOf(Body body) {
    Do([&] {
      Span span = tracer_.StartSpan("service", "operation");
      body(span);
    });
    const std::vector<Row> rows = Rows();
    EXPECT_EQ(rows.size(), 1U);
    return rows.empty() ? Row() : rows[0];
  }
  std::uint64_t misuses() const { return registry_.Count().misuses; }

  Tracer tracer_;
  ring::Registry& registry_;
  // Never destroyed, for the leak checker.
  static inline auto& registries_ = *new std::vector<ring::Registry*>;
};

}  // namespace spanring
