// Requests to the database, each in a transaction of its own and each content once: the ledger has
// the content's id in place of a writer's, so that a body that is sent again, to this process or
// another, adds nothing. Spans are counted for one writer of the process in trace_writers. Threads:
// Send and Abort on any, as many Sends at once as there are connections, others fail; Close
//   once, after the last.
// Memory: a connection holds one batch in its send buffer.
// Errors: absl::Status; Unavailable: nothing of it is known to be stored, sending it again is safe.
// Design: docs/web.md#spans-of-others
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "otlp/rows.h"
#include "pg/session.h"
#include "spanring/id.h"

namespace spanring::otlp {

struct StoreOptions {
  std::string conninfo;
  bool as_writer = false;  // With the rights of spanring_writer alone.
  std::string version;
  std::size_t connections = 4;
  // Senders give up after 10 s: a request has batch_timeout_ms for all of it.
  std::uint64_t connect_timeout_ms = 3'000;
  std::uint64_t batch_timeout_ms = 9'000;
  // How long nothing is tried behind a connection that broke or never came, or a request that had
  // no time left, so that those who wait hear of it.
  std::uint64_t pause_ms = 1'000;
};

struct Stored {
  std::uint64_t spans = 0;     // By this call.
  std::uint64_t rejected = 0;  // By the server.
  bool was_there = false;      // By an earlier one: then no spans.
  std::string first_rejection;
};

class Store {
 public:
  explicit Store(StoreOptions options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // OK when they are committed, or were before; or when the server rejected all of them.
  [[nodiscard]] absl::StatusOr<Stored> Send(const Rows& rows);
  // Sends end soon, with Unavailable.
  void Abort();
  // Says in trace_writers that the process has ended.
  void Close();

 private:
  class Line;

  Line* Take();  // nullptr: all are taken.
  void Give(Line* line);
  absl::StatusOr<Stored> SendOn(Line* line, const Rows& rows);
  std::string Counts(std::uint64_t persisted, std::uint64_t started, std::uint64_t rejected,
                     bool is_last);
  void Settle(std::uint64_t started, std::uint64_t rejected);
  // Whether an earlier request may have stored this, its answer lost; it is forgotten then.
  bool TakeDoubt(const TraceId& content);
  void KeepDoubt(const TraceId& content);
  absl::Status Paused();
  void Pause(const pg::Failure& failure);

  const StoreOptions options_;
  const TraceId writer_;  // Of the process.

  std::mutex mutex_;  // Guards all below.
  std::vector<std::unique_ptr<Line>> lines_;
  std::vector<Line*> free_;
  // Of batches whose fate is known.
  std::uint64_t started_ = 0;
  std::uint64_t rejected_ = 0;
  std::deque<TraceId> in_doubt_;  // The newest, of requests that the sender was told to repeat.
  pg::Deadline paused_until_{};
  std::string why_paused_;
};

}  // namespace spanring::otlp
