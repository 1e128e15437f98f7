// Every setting, once, with its unit, default and range.
// Threads: a value; any thread.
// Memory: owns its strings.
// Errors: a value out of range or not a number keeps the default and is warned about once.
// Design: docs/operations.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "spanring/config.h"

namespace spanring {

enum class LogLevel : std::uint8_t { kError, kInfo };

// Receives one line without its newline. Called by the tracer's own threads and, for a warning
// about settings, by the thread that starts it; must not call the tracer.
using LogSink = void (*)(LogLevel level, std::string_view line);

struct Options {
  // ENABLE_DB_TRACING: true, 1, yes or on, in any case. Anything else is off.
  bool enabled = false;

  // DATABASE_URL: a libpq connection string or URL. Empty: libpq's own PG* variables.
  std::string database_url;

  // OTEL_SERVICE_NAME: the service of spans that name none.
  std::string service_name = "unknown_service";

  // SPANRING_RING_BYTES: per thread, rounded up to a power of two; 64 KiB to 256 MiB. A larger
  // ring takes longer bursts and costs memory in every thread that traces.
  std::uint64_t ring_bytes = 1024 * 1024;

  // SPANRING_MAX_OPEN_SPANS: spans open at once per starting thread; 64 to 4,194,304. Memory
  // (512 bytes each) is taken as they are used, and kept while the thread lives.
  std::uint64_t max_open_spans = 131072;

  // SPANRING_FLUSH_INTERVAL_MS: the longest time that an ended span waits for company; 1 to
  // 60,000. Smaller means fresher rows and more transactions.
  std::uint64_t flush_interval_ms = 500;

  // SPANRING_BATCH_ROWS: rows of one COPY at most; 1 to 100,000.
  std::uint64_t batch_rows = 10000;

  // SPANRING_RING_DIR: a folder on tmpfs for rings and open spans, so that those of a killed
  // process can be recovered; "off": in memory of the process's own. Empty: /dev/shm/spanring-UID.
  std::string ring_dir;

  // SPANRING_JOURNAL_DIR: a folder on disk for spans that wait for the database; "off": in memory
  // of the process's own. Empty: $XDG_STATE_HOME/spanring/journal, or
  // ~/.local/state/spanring/journal.
  std::string journal_dir;

  // SPANRING_JOURNAL_BYTES: spans kept while the database is away; 1 MiB to 1 TiB. Of them 64 MiB
  // at most wait in memory alone, where there is no disk to write.
  std::uint64_t journal_bytes = 256 * 1024 * 1024;

  // SPANRING_JOURNAL_FULL: newest (the default) or oldest: which spans are dropped, and counted,
  // when it is full.
  bool journal_drops_oldest = false;

  // SPANRING_SHIPPERS: the most connections that load batches at the same time; 1 to 8. All but the
  // first are opened only while batches queue. Two take 1.6 times as much to the database as one,
  // and as much of its processors.
  std::uint64_t shippers = 2;

  // SPANRING_OPEN_SPAN_MS: a span that is open for longer has a row in trace_open_spans until it
  // ends; 100 to 86,400,000, or 0 for none.
  std::uint64_t open_span_ms = 5000;

  // SPANRING_SAMPLE_RATIO: the share of the traces that begin here of which every span is stored; 0
  // to 1. Of the others the failed spans and the slow ones are, with those around them; all spans
  // are in the database's sums. Where it is not set, OTEL_TRACES_SAMPLER and
  // OTEL_TRACES_SAMPLER_ARG say it.
  double sample_ratio = 1;
  // Whether a trace that began elsewhere is sampled as its parent says (traceparent's flag), or by
  // this process's ratio: OTEL_TRACES_SAMPLER without parentbased_.
  bool sample_by_parent = true;

  // SPANRING_SLOW_SPAN_MS: a span that took as long is slow, as is one of 1 ms and more that took 3
  // times its operation's average; 1 to 86,400,000. For traces that are not sampled.
  std::uint64_t slow_span_ms = 120000;

  // SPANRING_CONNECT_TIMEOUT_MS: one try to connect; 100 to 600,000.
  std::uint64_t connect_timeout_ms = 10000;

  // SPANRING_BATCH_TIMEOUT_MS: one batch, from its first byte to its commit; 100 to 3,600,000.
  std::uint64_t batch_timeout_ms = 60000;

  // SPANRING_RETRY_MAX_MS: the longest pause between tries while the database is away; 10 to
  // 600,000. Pauses double from 100 ms, with jitter.
  std::uint64_t retry_max_ms = 10000;

  // SPANRING_IDLE_DISCONNECT_MS: the connection is closed after this time without spans, so that
  // a serverless database can sleep; 100 to 86,400,000.
  std::uint64_t idle_disconnect_ms = 60000;

  // SPANRING_EXIT_TIMEOUT_MS: how long a normal exit of the process waits for the last spans; 0
  // to 600,000. 0: not at all.
  std::uint64_t exit_timeout_ms = 2000;

  // SPANRING_LOG: error (the default), info or off, on standard error.
  bool log_errors = true;
  bool log_info = false;
  // Takes the lines in place of standard error.
  LogSink log_sink = nullptr;

  // Reads the environment.
  SPANRING_EXPORT static Options FromEnvironment();
};

}  // namespace spanring
