#include "rate_cases.h"

#include <libpq-fe.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <latch>
#include <map>
#include <numeric>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dev/process.h"
#include "flush/row_encoder.h"
#include "pg/client.h"
#include "server_bench.h"
#include "spanring/spanring.h"

namespace spanring::bench {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kThreads = 2;
// A trace: a root and its children.
constexpr std::uint64_t kSpansOfTrace = 10;
// Between two looks at how far a thread is ahead.
constexpr std::uint64_t kBurst = 25 * kSpansOfTrace;
constexpr milliseconds kPauseWhenAhead{5};
// Recorded in one go when nobody takes them.
constexpr std::uint64_t kSpansInARow = 20'000;
constexpr std::size_t kChunkBytes = 64 * 1024;

constinit CallSite g_root("runner", "runner.execute_question");
constinit CallSite g_child("runner", "model.call");

// --- What it costs ---

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

double ProcessCpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

double ThreadCpu() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Of one thread, or of a process that has no other.
double CpuOf(const std::filesystem::path& folder) {
  double ns = 0;
  std::ifstream(folder / "schedstat") >> ns;
  return ns / 1e9;
}

std::map<std::string, double> CpuOfTracerThreads() {
  std::map<std::string, double> cpu;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name.starts_with("spanring-")) cpu[name] += CpuOf(task.path());
  }
  return cpu;
}

// Of all processors together, whatever was done and stolen.
double MachineCpu() {
  std::ifstream stat("/proc/stat");
  std::string word;
  stat >> word;
  double busy = 0;
  // user, nice, system, idle, iowait, irq, softirq, steal: proc(5)
  for (int field = 0; field < 8; ++field) {
    double ticks = 0;
    stat >> ticks;
    if (field != 3 && field != 4) busy += ticks;
  }
  return busy / static_cast<double>(sysconf(_SC_CLK_TCK));
}

class Meter {
 public:
  explicit Meter(pid_t server) : server_(server), server_before_(ServerCpu()) {}

  Json Stop() const {
    const double seconds = std::chrono::duration<double>(steady_clock::now() - start_).count();
    const double client = ProcessCpu() - client_before_;
    double server = 0;
    for (const auto& [pid, cpu] : ServerCpu()) {
      const auto before = server_before_.find(pid);
      server += cpu - (before == server_before_.end() ? 0 : before->second);
    }
    const double machine = MachineCpu() - machine_before_;
    return {{"seconds", seconds},
            {"client_cpu_s", client},
            {"server_cpu_s", server},
            {"others_cpus", std::max(0.0, (machine - client - server) / seconds)}};
  }

 private:
  // By process. None ends meanwhile: connections are kept, and autovacuum is off.
  std::map<pid_t, double> ServerCpu() const {
    std::map<pid_t, double> cpu;
    std::vector<pid_t> pids = dev::ChildrenOf(server_);
    pids.push_back(server_);
    for (const pid_t pid : pids) cpu[pid] = CpuOf(absl::StrCat("/proc/", pid));
    return cpu;
  }

  const pid_t server_;
  const std::map<pid_t, double> server_before_;
  const double machine_before_ = MachineCpu();
  const double client_before_ = ProcessCpu();
  const steady_clock::time_point start_ = steady_clock::now();
};

// --- The whole way ---

void RecordTrace(Tracer& tracer, std::int64_t execution) {
  Span root = tracer.StartSpan(tracer.NewTraceId(), std::nullopt, g_root);
  const SpanContext context = root.context();
  const auto add_items = [&](Span& span, int attempt) {
    span.SetExecutionContext("job-7", execution, "llama-3-70b", "eu-west");
    span.SetAttribute("queue", "default");
    span.SetAttribute("attempt", attempt);
    span.SetAttribute("share", 0.5);
  };
  add_items(root, 0);
  for (int i = 1; i < static_cast<int>(kSpansOfTrace); ++i) {
    Span child = tracer.StartSpan(context, g_child);
    add_items(child, i);
    child.Complete();
  }
  root.Complete();
}

// Not faster than the way takes them: spans that are dropped cost next to nothing.
void RecordPaced(std::uint64_t spans, std::uint64_t most_ahead, std::int64_t execution) {
  Tracer tracer;
  for (std::uint64_t n = 0; n < spans; n += kSpansOfTrace) {
    while (n % kBurst == 0 && tracer.GetStats().journalled > most_ahead) {
      std::this_thread::sleep_for(kPauseWhenAhead);
    }
    RecordTrace(tracer, execution++);
  }
}

// Threads that have recorded a trace, so that their rings are there, and wait for the start.
class Recorders {
 public:
  static constexpr std::uint64_t kWarmUp = kThreads * kSpansOfTrace;

  Recorders(std::uint64_t spans, std::uint64_t most_ahead) {
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads_.emplace_back([=, this] {
        Tracer tracer;
        RecordTrace(tracer, 1);
        const double before = ThreadCpu();
        ready_.count_down();
        start_.wait();
        RecordPaced(spans / kThreads, most_ahead, static_cast<std::int64_t>(1'000'000 * (i + 1)));
        cpu_[i] = ThreadCpu() - before;
      });
    }
    ready_.wait();
  }
  // Returns the threads' CPU time in s.
  double Run() {
    start_.count_down();
    for (std::thread& thread : threads_) thread.join();
    return std::accumulate(cpu_.begin(), cpu_.end(), 0.0);
  }

 private:
  std::latch ready_{kThreads};
  std::latch start_{1};
  std::array<double, kThreads> cpu_{};
  std::vector<std::thread> threads_;
};

std::string Drops(const Stats& stats) {
  std::string drops;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    if (stats.dropped_by_reason[i] == 0) continue;
    absl::StrAppend(&drops, drops.empty() ? "" : ", ",
                    std::string(DropReasonName(static_cast<DropReason>(i))), " ",
                    stats.dropped_by_reason[i]);
  }
  return drops;
}

// For the threads of the tracer, the CPU time since `before`.
Json CpuByThread(const std::map<std::string, double>& before, double recording) {
  Json cpu;
  for (const auto& [name, now] : CpuOfTracerThreads()) {
    const auto then = before.find(name);
    cpu[name] = now - (then == before.end() ? 0 : then->second);
  }
  cpu["recording"] = recording;
  return cpu;
}

Json RunWhole(const RateCase& input) {
  Tracer tracer = Tracer::FromEnvironment();
  Check(tracer.enabled(), "the tracer is off");
  // Some batches: enough that no shipper ever waits; few enough to be in memory, and for a ring.
  Recorders recorders(input.rows, std::clamp<std::uint64_t>(4 * input.batch_rows, 40'000, 80'000));
  // So that the connection is there, as in the raw case.
  Check(tracer.Flush(absl::Seconds(60)));
  const auto cpu_before = CpuOfTracerThreads();

  const Meter meter(input.server);
  const double recording = recorders.Run();
  const absl::Status flushed = tracer.Flush(absl::Minutes(10));
  Json result = meter.Stop();
  result["cpu_s"] = CpuByThread(cpu_before, recording);
  result["warm_up_rows"] = Recorders::kWarmUp;
  const Stats stats = tracer.GetStats();
  result["dropped"] = stats.dropped;
  result["failures"] = stats.persist_failures;
  if (!absl::IsDataLoss(flushed)) Check(flushed);
  Check(tracer.Shutdown(absl::Seconds(60)));
  return result;
}

// The same spans into a journal whose database is not there, and stays behind for the parent.
Json RunEncode(const RateCase& input) {
  Tracer tracer = Tracer::FromEnvironment();
  for (std::uint64_t n = 0; n <= input.rows; n += kSpansInARow) {
    Recorders(kSpansInARow, std::uint64_t{1} << 40).Run();
    // By its end the drainer has all of them in the journal.
    const absl::Status flushed = tracer.Flush(absl::Milliseconds(500));
    Check(absl::IsDeadlineExceeded(flushed), flushed.ToString());
  }
  const Stats stats = tracer.GetStats();
  Check(stats.dropped == 0, "spans were dropped: " + Drops(stats));
  return {};
}

// --- Beside it ---

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Check(!bytes.empty(), absl::StrCat("cannot read ", path));
  return bytes;
}

// Takes up to `count` rows from the front.
std::string_view TakeRows(std::string_view* rest, std::uint64_t count) {
  std::size_t bytes = 0;
  for (std::uint64_t i = 0; i < count && bytes < rest->size(); ++i) {
    bytes += flush::RowLength(rest->substr(bytes));
  }
  const std::string_view taken = rest->substr(0, bytes);
  rest->remove_prefix(bytes);
  return taken;
}

void CopyOnce(PGconn* connection, const std::string& sql, std::string_view rows) {
  constexpr std::string_view kHeader("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
  constexpr std::string_view kTrailer("\377\377", 2);
  const auto put = [&](std::string_view bytes) {
    Check(PQputCopyData(connection, bytes.data(), static_cast<int>(bytes.size())) == 1,
          PQerrorMessage(connection));
  };
  pg::Result result(PQexec(connection, sql.c_str()));
  Check(PQresultStatus(result.get()) == PGRES_COPY_IN, PQerrorMessage(connection));
  put(kHeader);
  while (!rows.empty()) {
    put(rows.substr(0, kChunkBytes));
    rows.remove_prefix(std::min(rows.size(), kChunkBytes));
  }
  put(kTrailer);
  Check(PQputCopyEnd(connection, nullptr) == 1, PQerrorMessage(connection));
  for (result.reset(PQgetResult(connection)); result != nullptr;
       result.reset(PQgetResult(connection))) {
    Check(PQresultStatus(result.get()) == PGRES_COMMAND_OK, PQerrorMessage(connection));
  }
}

Json RunRaw(const RateCase& input) {
  const std::string bytes = ReadFile(input.rows_file);
  std::string_view rest = bytes;
  const std::string_view first = TakeRows(&rest, 1);
  std::vector<std::string_view> batches;
  for (std::uint64_t left = input.rows; left > 0;) {
    const std::uint64_t count = std::min(left, input.batch_rows);
    batches.push_back(TakeRows(&rest, count));
    Check(!batches.back().empty(), "too few rows");
    left -= count;
  }
  const std::string sql = absl::StrCat("COPY trace_spans (", std::string(flush::kRowColumns),
                                       ") FROM STDIN (FORMAT binary)");
  const pg::Connection connection = Connected(input.conninfo);
  CopyOnce(connection.get(), sql, first);

  const Meter meter(input.server);
  for (const std::string_view batch : batches) CopyOnce(connection.get(), sql, batch);
  Json result = meter.Stop();
  result["warm_up_rows"] = 1;
  return result;
}

// A row at the start, completed at the end: two statements, each a transaction of its own.
Json RunEarlier(const RateCase& input) {
  const pg::Connection connection = Connected(input.conninfo);
  const auto prepare = [&](const char* name, const std::string& sql) {
    const pg::Result result(PQprepare(connection.get(), name, sql.c_str(), 0, nullptr));
    Check(PQresultStatus(result.get()) == PGRES_COMMAND_OK, PQerrorMessage(connection.get()));
  };
  prepare("started",
          absl::StrCat("INSERT INTO ", input.table,
                       " (trace_id, span_id, parent_span_id, service, operation, started_at,"
                       " status, job_id, execution_id, model_id, region, metadata)"
                       " VALUES ($1, $2, $3, 'runner', 'model.call', $4, 'started', 'job-7', $5,"
                       " 'llama-3-70b', 'eu-west', $6)"));
  // With all that finds the row soonest in either table.
  prepare("ended", absl::StrCat("UPDATE ", input.table,
                                " SET completed_at = now(), duration_ms = 1, status = 'completed'"
                                " WHERE trace_id = $1 AND span_id = $2 AND started_at = $3"));
  const auto run = [&](const char* name, const std::vector<const char*>& values) {
    const pg::Result result(PQexecPrepared(connection.get(), name, static_cast<int>(values.size()),
                                           values.data(), nullptr, nullptr, 0));
    Check(PQresultStatus(result.get()) == PGRES_COMMAND_OK &&
              std::string_view(PQcmdTuples(result.get())) == "1",
          PQerrorMessage(connection.get()));
  };
  const TraceId first = TraceId(0x0192f0c17d3e7a2b, 0x8c4d5e6f708192a3);
  const std::int64_t start_us =
      std::chrono::duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  const auto write = [&](std::uint64_t i) {
    const std::string trace = TraceId(first.high() + i / kSpansOfTrace, first.low()).ToUuid();
    const std::string span = TraceId(0, first.low() + i).ToUuid();
    const std::string parent = TraceId(0, first.low() - 1).ToUuid();
    const std::int64_t us = start_us + static_cast<std::int64_t>(i);
    std::array<char, 64> time{};
    const time_t second = us / 1'000'000;
    tm parts{};
    gmtime_r(&second, &parts);
    std::snprintf(time.data(), time.size(), "%04d-%02d-%02d %02d:%02d:%02d.%06d+00",
                  parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                  parts.tm_min, parts.tm_sec, static_cast<int>(us % 1'000'000));
    const std::string execution = std::to_string(1'000'000 + i / kSpansOfTrace);
    const std::string metadata =
        absl::StrCat(R"({"queue":"default","attempt":)", i % kSpansOfTrace, R"(,"share":0.5})");
    run("started", {trace.c_str(), span.c_str(), parent.c_str(), time.data(), execution.c_str(),
                    metadata.c_str()});
    run("ended", {trace.c_str(), span.c_str(), time.data()});
  };
  write(0);

  const Meter meter(input.server);
  for (std::uint64_t i = 1; i <= input.rows; ++i) write(i);
  Json result = meter.Stop();
  result["warm_up_rows"] = 1;
  return result;
}

}  // namespace

Json RunRateCase(const RateCase& input) {
  if (input.kind == "encode") return RunEncode(input);
  if (input.kind == "raw") return RunRaw(input);
  if (input.kind == "whole") return RunWhole(input);
  if (input.kind == "earlier") return RunEarlier(input);
  Fail("no such case: " + input.kind);
}

}  // namespace spanring::bench
