// Hand-made executions: spans written down as a person would sketch them, in seconds.
// Threads: one fixture belongs to one thread.
// Memory: one database a test suite, emptied before each test.
// Errors: a statement that fails is the test's failure.
// Design: docs/diagnosis.md
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/database.h"

namespace spanring::test {

inline constexpr char kWriterId[] = "00000000-0000-0000-0000-0000000000aa";

inline constexpr std::nullopt_t kNeverEnded = std::nullopt;

struct Span {
  int id = 0;      // the W3C span id
  int parent = 0;  // 0 for a root
  std::string service;
  std::string operation;
  double start_s = 0;
  std::optional<double> end_s = kNeverEnded;
  std::string status = "completed";
  std::string error_type = "";
  std::string error_message = "";
  bool without_execution = false;  // the service did not know the execution's id
  std::string kind = "";           // metadata's span.kind
  std::string attributes = "{}";   // the rest of metadata
};

// Rows of the answer, one column by name.
struct Cause {
  std::string type;
  std::string service;
  std::string operation;
  std::string evidence;
  std::string recommendation;
};

class ExecutionTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { database_ = std::make_unique<TestDatabase>(); }
  static void TearDownTestSuite() { database_.reset(); }
  void SetUp() override;

  static TestDatabase& Database() { return *database_; }

  // Writes an execution whose trace id is its own number, starting an hour ago at second 0.
  static void Write(std::int64_t execution_id, const std::vector<Span>& spans);

  // The same for a span that is reported as open.
  static void WriteOpen(std::int64_t execution_id, const Span& span,
                        const std::string& writer_id = kWriterId);

  // Writes `count` executions of one span each, for a history.
  static void WriteHistory(std::int64_t first_execution_id, int count, const std::string& service,
                           const std::string& operation, double duration_s);

  // What maintenance does for rows that no tracer wrote. The two below do it first.
  static void Fold();

  // The root cause type of the error pattern that matches, or "<null>".
  static std::string Matched(const std::string& applies_to, const std::string& error);

  static std::vector<Cause> Causes(std::int64_t execution_id);

  // The first row's type, or "none".
  static std::string RootCause(std::int64_t execution_id);

  // "operation: reason" of every anomaly, in order.
  static std::vector<std::string> Anomalies(std::int64_t execution_id);

 private:
  static std::unique_ptr<TestDatabase> database_;
  static std::string second_zero_;  // the same for all that a test writes
};

// The execution that this project began with: the router was done after 82 s, the runner saw the
// answer 156 s later. `runner_status` is what the runner said of its own spans.
std::vector<Span> Execution2193(const std::string& runner_status = "completed");

}  // namespace spanring::test
