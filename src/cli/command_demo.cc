// spanring demo: the whole way once, from a traced program to the answer in a terminal.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/database.h"
#include "cli/render/units.h"
#include "cli/sample_runner.h"
#include "cli/trace_views.h"
#include "dev/private_server.h"
#include "schema/migrator.h"

namespace spanring::cli {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr char kDatabase[] = "spanring_demo";
constexpr std::int64_t kExecution = 2193;
constexpr milliseconds kRunnerDeadline{120'000};

// "[2/4] schema ... done in 0.3 s" on stdout, rewritten in place on a terminal.
class Step {
 public:
  Step(const Context& context, int number, std::string what)
      : terminal_(context.progress), head_(absl::StrCat("[", number, "/4] ", std::move(what))) {
    if (terminal_) Show("…");
  }

  void Tick(milliseconds gone) const {
    if (terminal_) Show(absl::StrCat("… ", gone.count() / 1000, " s"));
  }

  void Done() const {
    const auto gone = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_);
    if (terminal_) std::fputs("\r\033[K", stderr);
    Print(absl::StrCat(head_, ": ", FormatDuration(gone.count())));
    std::fflush(stdout);
  }

  ~Step() {
    if (terminal_) std::fputs("\r\033[K", stderr);
  }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

 private:
  void Show(const std::string& state) const {
    std::fputs(absl::StrCat("\r\033[K", head_, " ", state).c_str(), stderr);
    std::fflush(stderr);
  }

  bool terminal_;
  std::string head_;
  Clock::time_point start_ = Clock::now();
};

void Section(const Context& context, const std::string& title) {
  Print("");
  Print(context.style.Paint(title, Tone::kBold));
}

void PrintCosts(const Context& context, const RunnerReport& report, std::int64_t rows) {
  Section(context, "What it cost and what arrived");
  char cost[128];
  std::snprintf(cost, sizeof(cost), "  a span costs   %.1f ns with tracing off, %.0f ns on",
                report.span_cost_off_ns, report.span_cost_on_ns);
  Print(cost);
  Print(absl::StrCat("  spans          ", FormatCount(report.spans_started), " started, ",
                     FormatCount(report.spans_persisted), " persisted, ",
                     FormatCount(report.spans_dropped), " dropped"));
  Print(absl::StrCat("  trace_spans    ", FormatCount(rows), " rows"));
  Print(absl::StrCat("  executions     ", FormatCount(report.executions), ", ",
                     report.failed_executions.size(), " failed"));
}

void PrintHowToGoOn(const Context& context) {
  Section(context, "How to go on");
  const std::string database = absl::StrCat(" -d ", kDatabase);
  Print(absl::StrCat("  ", context.Copyable("serve"), database, "    # in a browser"));
  Print(absl::StrCat("  ", context.Copyable("list --status failed,timeout --causes"), database));
  Print(absl::StrCat("  ", context.Copyable("dev psql"), database));
  Print(absl::StrCat("  ", context.Copyable(absl::StrCat("similar ", kExecution)), database));
  Print(absl::StrCat("  ", context.Copyable("doctor"), database));
  Print(absl::StrCat("  ", context.Copyable("dev down")));
}

// What differs from a run in which every span arrived and the answer is right.
absl::StatusOr<Lines> Differences(const Session& session, const RunnerReport& report,
                                  std::int64_t rows) {
  Lines differences;
  const auto expect = [&differences](const char* what, std::int64_t found, std::int64_t wanted) {
    if (found != wanted) {
      differences.push_back(
          absl::StrCat(what, " is ", FormatCount(found), ", not ", FormatCount(wanted)));
    }
  };
  expect("rows in trace_spans", rows, report.spans_started);
  expect("spans persisted", report.spans_persisted, report.spans_started);
  expect("spans dropped", report.spans_dropped, 0);
  if (report.spans_started == 0) differences.push_back("no span was started");
  absl::StatusOr<pg::Result> cause = session.Query(
      "SELECT *, concat_ws(' ', affected_service, affected_operation, evidence, recommendation) "
      "AS said FROM identify_root_cause($1::bigint) LIMIT 1",
      {std::to_string(kExecution)});
  if (!cause.ok()) return cause.status();
  const bool found = PQntuples(cause->get()) > 0;
  const std::string type = found ? Field(*cause, 0, "root_cause_type") : "none";
  const std::string said = found ? Field(*cause, 0, "said") : "";
  if (type != "NETWORK_TIMEOUT") {
    differences.push_back(
        absl::StrCat("the root cause of ", kExecution, " is ", type, ", not NETWORK_TIMEOUT"));
  } else if (said.find("router") == std::string::npos || said.find("runner") == std::string::npos) {
    differences.push_back("the root cause does not lie between router and runner");
  }
  return differences;
}

absl::StatusOr<std::int64_t> CountRows(const Session& session) {
  absl::StatusOr<pg::Result> result = session.Query("SELECT count(*) AS n FROM trace_spans");
  if (!result.ok()) return result.status();
  return std::strtoll(Field(*result, 0, "n").c_str(), nullptr, 10);
}

absl::Status PrintAnswers(const Context& context, const Session& session) {
  using Answer = absl::StatusOr<Lines> (*)(const Context&, const Session&, std::int64_t);
  const std::pair<const char*, Answer> answers[] = {
      {"Waterfall", WaterfallLines}, {"Diagnosis", DiagnosisLines}, {"Root cause", RootCauseLines}};
  for (const auto& [title, answer] : answers) {
    absl::StatusOr<Lines> lines = answer(context, session, kExecution);
    if (!lines.ok()) return lines.status();
    Section(context, absl::StrCat(title, " of execution ", kExecution));
    Print(*lines);
  }
  return absl::OkStatus();
}

absl::Status PrepareDatabase(const Context& context, dev::PrivateServer* server) {
  {
    const Step step(context, 1, "private PostgreSQL");
    if (absl::Status status = server->Start(); !status.ok()) return status;
    step.Done();
  }
  if (!server->relocation_notice().empty()) PrintNote(server->relocation_notice());
  {
    const Step step(context, 2, absl::StrCat("database ", kDatabase, ", made anew"));
    if (absl::Status status = server->RecreateDatabase(kDatabase); !status.ok()) return status;
    // `dev status` names it from now on.
    if (absl::Status status = server->EnsureDatabase(kDevDatabase); !status.ok()) return status;
    step.Done();
  }
  const Step step(context, 3, "schema");
  absl::StatusOr<pg::Connection> connection =
      pg::Connect(server->conninfo(kDatabase), "spanring demo");
  if (!connection.ok()) return connection.status();
  absl::StatusOr<schema::MigrateReport> report = schema::Up(connection->get());
  if (!report.ok()) return report.status();
  step.Done();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> Demo(const Context& context, const std::string& runner) {
  absl::StatusOr<std::string> program = FindSampleRunner(runner);
  if (!program.ok()) return program.status();
  absl::StatusOr<dev::PrivateServer> server = dev::PrivateServer::Open(context.options.state_dir);
  if (!server.ok()) return server.status();
  if (absl::Status status = PrepareDatabase(context, &*server); !status.ok()) return status;
  RunnerReport report;
  {
    const Step step(context, 4, "sample runner, traced");
    absl::StatusOr<RunnerReport> ran =
        RunSampleRunner(*program, server->url(kDatabase), kRunnerDeadline,
                        [&step](milliseconds gone) { step.Tick(gone); });
    if (!ran.ok()) return ran.status();
    report = *std::move(ran);
    step.Done();
  }
  Context demo = context;
  demo.options.database = server->conninfo(kDatabase);
  absl::StatusOr<Session> session = Session::Open(demo);
  if (!session.ok()) return session.status();
  absl::StatusOr<std::int64_t> rows = CountRows(*session);
  if (!rows.ok()) return rows.status();
  PrintCosts(context, report, *rows);
  if (absl::Status status = PrintAnswers(demo, *session); !status.ok()) return status;
  PrintHowToGoOn(context);
  absl::StatusOr<Lines> differences = Differences(*session, report, *rows);
  if (!differences.ok()) return differences.status();
  for (const std::string& difference : *differences) PrintNote("demo: " + difference);
  return differences->empty() ? kExitOk : kExitBadAnswer;
}

}  // namespace spanring::cli
