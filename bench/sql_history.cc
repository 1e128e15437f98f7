#include "sql_history.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server_bench.h"

namespace spanring::bench {
namespace {

constexpr std::uint64_t kConnections = 2;
constexpr std::uint64_t kExecutionsAtOnce = 20'000;

// The days that lie behind us, $1 of them, which have no partitions yet.
constexpr char kMakePartitions[] = R"sql(
SELECT trace_ensure_days(ARRAY(
    SELECT (now() AT TIME ZONE 'UTC')::date - n FROM generate_series(1, $1::integer) AS n))
)sql";

// Executions $1 to $2, of $3, whose last one begins at the last full hour before now and whose
// first one $4 days before. Everything about one follows from its id, but its time.
//
// kind: 1 to 960 completed, to 970 the network lost 70 s, to 980 refused, to 990 failed in the
// function, the rest slow.
constexpr char kInsert[] = R"sql(
INSERT INTO trace_spans (
    trace_id, span_id, parent_span_id, service, operation, started_at, completed_at, duration_ns,
    duration_ms, execution_id, status, job_id, model_id, region, error_type, error_message,
    metadata, created_at)
SELECT
    execution.trace_id,
    spans.ids[part.n], spans.ids[part.parent],
    part.service, part.operation,
    execution.began + make_interval(secs => part.at_ms / 1e3),
    execution.began + make_interval(secs => (part.at_ms + part.took_ms) / 1e3),
    (part.took_ms * 1e6)::bigint, round(part.took_ms)::integer,
    execution.id,
    CASE
        WHEN part.n = 1 AND kind BETWEEN 961 AND 970 THEN 'timeout'
        WHEN part.n IN (1, 2, 3) AND kind BETWEEN 971 AND 990 THEN 'failed'
        WHEN part.n = 4 AND kind BETWEEN 981 AND 990 THEN 'failed'
        ELSE 'completed'
    END,
    'job-' || execution.id / 500, 'model-' || random % 8,
    (ARRAY['us-east', 'us-west', 'eu-west', 'asia-east'])[1 + random % 4],
    CASE
        WHEN part.n = 3 AND kind BETWEEN 971 AND 980 THEN 'ECONNREFUSED'
        WHEN part.n = 4 AND kind BETWEEN 981 AND 990 THEN 'RuntimeError'
    END,
    CASE
        WHEN part.n = 3 AND kind BETWEEN 971 AND 980 THEN 'connect: connection refused'
        WHEN part.n = 4 AND kind BETWEEN 981 AND 990 THEN 'CUDA out of memory'
    END,
    CASE WHEN part.n = 4 THEN
        jsonb_build_object('gpu', 'a10g', 'tokens', random % 900, 'attempt', 1)
    END,
    -- With a batch a second.
    date_trunc('second', execution.began)
        + make_interval(secs => 1 + ceil((120 + inference_ms) / 1e3))
FROM (
    SELECT
        id, began, random, 1 + random % 1000 AS kind,
        200 + 40 * exp((random / 1000 % 1024) / 256.0)
            + CASE WHEN random % 1000 >= 990 THEN 130000 ELSE 0 END AS inference_ms,
        -- A UUIDv7, as tracers make it.
        (lpad(to_hex((extract(epoch FROM began) * 1000)::bigint), 12, '0') || '7'
            || substr(md5(id::text), 1, 3) || '8' || substr(md5(id::text), 4, 15))::uuid AS trace_id
    FROM (
        SELECT
            id, abs(hashint8extended(id, 1)) AS random,
            date_trunc('hour', now(), 'UTC')
                - make_interval(secs => ($3::bigint - id) * $4 * 86400.0 / $3) AS began
        FROM generate_series($1::bigint, $2::bigint) AS id
    ) AS numbered
) AS execution
CROSS JOIN LATERAL (
    SELECT array_agg(
        lpad(to_hex(hashint8extended(execution.id, n)), 32, '0')::uuid ORDER BY n) AS ids
    FROM generate_series(1, 5) AS n
) AS spans
-- As a tracer writes them: when they ended.
CROSS JOIN LATERAL (VALUES
    (5, 2, 'router', 'router.select_region', 6.0, 3.0),
    (4, 3, 'modal', 'modal.inference', 40.0, inference_ms),
    (3, 2, 'router', 'router.inference_request', 10.0, inference_ms + 80),
    (2, 1, 'router', 'router.route', 5.0, inference_ms + 100),
    (1, 0, 'runner', 'runner.execute_question', 0.0,
        inference_ms + 120 + CASE WHEN kind BETWEEN 961 AND 970 THEN 70000 ELSE 0 END)
) AS part (n, parent, service, operation, at_ms, took_ms)
)sql";

// As if one writer had brought and summed them all.
constexpr char kMakeLedger[] = R"sql(
INSERT INTO trace_batches (writer_id, sequence, committed_at, spans, is_summed)
SELECT md5('writer')::uuid, row_number() OVER (ORDER BY created_at), created_at, count(*), true
FROM trace_spans GROUP BY created_at;
UPDATE trace_rollups SET is_folded = false;
DELETE FROM trace_folded_days;
)sql";

// Work in pieces, by several connections at once, with progress.
template <typename Do>
void InPieces(const std::string& what, const std::string& conninfo, std::uint64_t pieces, Do work) {
  std::atomic<std::uint64_t> next = 0;
  std::mutex mutex;
  std::uint64_t done = 0;
  std::exception_ptr failed;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::jthread> threads;
  for (std::uint64_t i = 0; i < kConnections; ++i) {
    threads.emplace_back([&] {
      try {
        const pg::Connection connection = Connected(conninfo);
        for (std::uint64_t piece = next++; piece < pieces; piece = next++) {
          work(connection.get(), piece);
          const std::scoped_lock lock(mutex);
          if (++done == pieces || isatty(STDERR_FILENO) == 1) {
            const auto gone = std::chrono::steady_clock::now() - begin;
            std::fprintf(stderr, "\r%s: %3.0f %% after %.0f s", what.c_str(),
                         100.0 * static_cast<double>(done) / static_cast<double>(pieces),
                         std::chrono::duration<double>(gone).count());
          }
        }
      } catch (...) {
        const std::scoped_lock lock(mutex);
        failed = std::current_exception();
        next = pieces;
      }
    });
  }
  threads.clear();
  std::fputc('\n', stderr);
  if (failed != nullptr) std::rethrow_exception(failed);
}

}  // namespace

void MakeHistory(const std::string& conninfo, const History& history) {
  const pg::Connection connection = Connected(conninfo);
  Check(pg::Query(connection.get(), kMakePartitions, {{std::to_string(history.days)}}).status());
  Execute(connection.get(), "SELECT trace_ensure_partitions()");

  const std::uint64_t pieces = (history.executions + kExecutionsAtOnce - 1) / kExecutionsAtOnce;
  InPieces("spans", conninfo, pieces, [&](PGconn* own, std::uint64_t piece) {
    const std::uint64_t first = piece * kExecutionsAtOnce + 1;
    const std::uint64_t last = std::min(first + kExecutionsAtOnce - 1, history.executions);
    Check(pg::Query(own, kInsert,
                    {{std::to_string(first)},
                     {std::to_string(last)},
                     {std::to_string(history.executions)},
                     {std::to_string(history.days)}})
              .status());
  });
  InPieces("sums", conninfo, static_cast<std::uint64_t>(history.days) + 1,
           [&](PGconn* own, std::uint64_t piece) {
             Check(pg::Query(
                       own, "SELECT trace_fold_day((now() AT TIME ZONE 'UTC')::date - $1::integer)",
                       {{std::to_string(piece)}})
                       .status());
           });
  std::fputs("ledger, vacuum and analyze\n", stderr);
  Execute(connection.get(), kMakeLedger);
  // A writer inserts a row in one go; the sums above first made room for each.
  Execute(connection.get(), "VACUUM (FULL) trace_execution_summaries");
  Execute(connection.get(), "VACUUM (ANALYZE)");
}

}  // namespace spanring::bench
