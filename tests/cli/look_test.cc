// list, tail, top and export as a user meets them, against a real PostgreSQL.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "program.h"
#include "support/database.h"

namespace spanring::cli {
namespace {

using absl::StrContains;
using nlohmann::json;

// Executions 1 (completed) to 3 (timeout), a minute apart, the newest last.
constexpr char kSpans[] = R"sql(
INSERT INTO trace_spans (started_at, completed_at, duration_ns, duration_ms, execution_id, trace_id,
    span_id, parent_span_id, service, operation, status, job_id, model_id, region, error_message)
SELECT t0 + (execution * 60 + o) * interval '1 s', t0 + (execution * 60 + o + d) * interval '1 s',
    d * 1000000000::bigint, d * 1000, execution, lpad(execution::text, 32, '0')::uuid,
    lpad(i::text, 32, '0')::uuid, lpad(p::text, 32, '0')::uuid, s, op, st, 'job-' || execution,
    'llama', 'eu', em
FROM (SELECT date_trunc('hour', now()) - interval '30 min' AS t0) AS clock, (VALUES
    (1, 1, NULL, 'runner', 'question', 0, 10, 'completed', NULL),
    (2, 1, NULL, 'runner', 'question', 0, 20, 'failed', 'no <script>alert("x")</script> & more'),
    (2, 2, 1, 'router', 'ask', 1, 5, 'completed', NULL),
    (3, 1, NULL, 'runner', 'question', 0, 50, 'timeout', NULL),
    (3, 2, 1, 'router', 'ask', 0, 30, 'completed', NULL),
    (3, 3, 1, 'router', 'ask', 20, 20, 'completed', NULL),
    (3, 4, 2, 'router', 'part', 5, 10, 'completed', NULL)
) AS span (execution, i, p, s, op, o, d, st, em);
SELECT trace_fold_day(day)
FROM (SELECT DISTINCT (started_at AT TIME ZONE 'UTC')::date FROM trace_spans) AS days (day);
)sql";

class Look : public testing::Test {
 protected:
  Look() {
    database_.Run(kSpans);
    std::string folder = (std::filesystem::temp_directory_path() / "spanring-look-XXXXXX").string();
    if (mkdtemp(folder.data()) != nullptr) folder_ = folder;
  }
  ~Look() override { std::filesystem::remove_all(folder_); }

  Outcome Ask(const std::vector<std::string>& arguments) const {
    return RunProgram(arguments, {"DATABASE_URL=" + database_.conninfo()});
  }
  std::vector<int> Listed(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"list", "--json"});
    const Outcome outcome = Ask(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    std::vector<int> ids;
    for (const json& row : json::parse(outcome.out, nullptr, false)) {
      ids.push_back(row["execution_id"]);
    }
    return ids;
  }

  test::TestDatabase database_;
  std::string folder_;
};

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {(std::istreambuf_iterator<char>(file)), {}};
}

TEST_F(Look, ListShowsTheNewestFirstAndMarksWhatFailed) {
  const Outcome outcome = Ask({"list", "--width", "140"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<std::string> lines = absl::StrSplit(outcome.out, '\n');
  ASSERT_EQ(lines.size(), 5U) << outcome.out;
  EXPECT_TRUE(std::regex_search(
      lines[1], std::regex("^! +3  timeout +50.0 s  .*job-3  llama  eu +runner.question$")))
      << lines[1];
  EXPECT_EQ(lines[2][0], '!');
  EXPECT_EQ(lines[3][0], ' ');
  EXPECT_FALSE(StrContains(outcome.out, "\033"));
  EXPECT_TRUE(StrContains(Ask({"list", "--color", "always"}).out, "\033["));
}

TEST_F(Look, ListSaysWhyEachFailed) {
  const Outcome outcome = Ask({"list", "--width", "160", "--causes"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<std::string> lines = absl::StrSplit(outcome.out, '\n');
  ASSERT_EQ(lines.size(), 5U) << outcome.out;
  for (const int row : {1, 2}) {
    const Outcome told = Ask({"root-cause", row == 1 ? "3" : "2", "--json"});
    const std::string type = json::parse(told.out, nullptr, false).at(0).at("root_cause_type");
    EXPECT_TRUE(StrContains(lines.at(row), type + " in ")) << lines.at(row);
  }
  EXPECT_FALSE(StrContains(lines[3], " in ")) << lines[3];
  const json rows = json::parse(Ask({"list", "--json", "--causes"}).out, nullptr, false);
  EXPECT_TRUE(rows.at(0).at("cause").is_object());
  EXPECT_TRUE(rows.at(2).at("cause").is_null());
}

TEST_F(Look, ListIsNarrowedByEachFilter) {
  using Ids = std::vector<int>;
  EXPECT_EQ(Listed({}), (Ids{3, 2, 1}));
  EXPECT_EQ(Listed({"--status", "failed,timeout"}), (Ids{3, 2}));
  EXPECT_EQ(Listed({"--status", "completed", "--status", "failed"}), (Ids{2, 1}));
  EXPECT_EQ(Listed({"--job", "job-2"}), Ids{2});
  EXPECT_EQ(Listed({"--model", "other"}), Ids{});
  EXPECT_EQ(Listed({"--region", "eu", "--limit", "1"}), Ids{3});
  EXPECT_EQ(Listed({"--service", "router"}), (Ids{3, 2}));
  EXPECT_EQ(Listed({"--min-duration", "20s"}), (Ids{3, 2}));
  EXPECT_EQ(Listed({"--min-duration", "0.5m"}), Ids{3});
  EXPECT_EQ(Listed({"--since", "2h"}), (Ids{3, 2, 1}));
  EXPECT_EQ(Listed({"--since", "1ms"}), Ids{});
  EXPECT_EQ(Listed({"--since", "tomorrow"}), Ids{});
  EXPECT_EQ(Ask({"list", "--job", "x"}).out, "no such executions\n");
}

TEST_F(Look, TopSortsAndCounts) {
  const auto sorted = [&](const std::string& by) {
    const Outcome outcome = Ask({"top", "--json", "--since", "3h", "--sort", by});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    std::string names;
    for (const json& row : json::parse(outcome.out, nullptr, false)) {
      absl::StrAppend(&names, row["operation"].get<std::string>(), " ");
    }
    return names;
  };
  EXPECT_EQ(sorted("time"), "question ask part ");
  EXPECT_EQ(sorted("count"), "ask question part ");
  EXPECT_EQ(sorted("failures"), "question ask part ");
  EXPECT_EQ(sorted("p95"), "question ask part ");
  const Outcome table = Ask({"top", "--since", "3h"});
  EXPECT_TRUE(StrContains(table.out, "3 operations, 7 spans, 2 failed")) << table.out;
  EXPECT_TRUE(StrContains(table.out, "runner.question")) << table.out;
  EXPECT_FALSE(StrContains(table.out, "\033")) << "no terminal: once, and plain";
}

// The program on a terminal of its own.
class OnTerminal {
 public:
  OnTerminal(const test::TestDatabase& database, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), getenv("SPANRING_PROGRAM"));
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    winsize size = {.ws_row = 10, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
    pid_ = forkpty(&fd_, nullptr, nullptr, &size);
    if (pid_ == 0) {
      setenv("DATABASE_URL", database.conninfo().c_str(), 1);
      setenv("TERM", "xterm", 1);
      execv(pointers[0], pointers.data());
      _exit(127);
    }
  }
  ~OnTerminal() { close(fd_); }
  void Await(const std::string& text) {
    for (int i = 0; i < 1000 && !StrContains(seen_, text); ++i) Read(10);
    EXPECT_TRUE(StrContains(seen_, text)) << seen_;
  }
  void Type(const char* key) const { EXPECT_EQ(write(fd_, key, 1), 1); }
  void Signal(int signal) const { kill(pid_, signal); }
  // What it ended with; reads what it wrote before.
  int End() {
    int status = -1;
    for (int i = 0; i < 1000 && waitpid(pid_, &status, WNOHANG) == 0; ++i) Read(10);
    Read(100);
    return status;
  }
  [[nodiscard]] const std::string& seen() const { return seen_; }

 private:
  void Read(int ms) {
    pollfd waiting = {.fd = fd_, .events = POLLIN, .revents = 0};
    char text[4096];
    if (poll(&waiting, 1, ms) <= 0) return;
    const ssize_t n = read(fd_, text, sizeof(text));
    if (n > 0) seen_.append(text, static_cast<std::size_t>(n));
    if (n <= 0) std::this_thread::sleep_for(std::chrono::milliseconds(ms));  // It is gone.
  }

  int fd_ = -1;
  pid_t pid_ = -1;
  std::string seen_;
};

constexpr char kEnter[] = "\033[?1049h";
constexpr char kLeave[] = "\033[?1049l";

TEST_F(Look, TopGivesTheTerminalBackHoweverItEnds) {
  const std::function<void(OnTerminal&)> endings[] = {
      [](OnTerminal& top) { top.Type("q"); }, [](OnTerminal& top) { top.Type("\003"); },
      [](OnTerminal& top) { top.Signal(SIGTERM); }, [](OnTerminal& top) { top.Signal(SIGHUP); }};
  for (const auto& ending : endings) {
    OnTerminal top(database_, {"top", "--since", "3h"});
    top.Await("runner.question");
    EXPECT_TRUE(StrContains(top.seen(), kEnter));
    EXPECT_FALSE(StrContains(top.seen(), kLeave));
    ending(top);
    const int status = top.End();
    EXPECT_TRUE(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP)) << status;
    EXPECT_TRUE(StrContains(top.seen(), kLeave)) << top.seen();
    EXPECT_EQ(top.seen().find(kLeave), top.seen().rfind(kLeave)) << "once";
  }
}

TEST_F(Look, TopOnATerminalOnceUsesNoOtherScreen) {
  OnTerminal top(database_, {"top", "--since", "3h", "--once"});
  EXPECT_EQ(top.End(), 0);
  EXPECT_FALSE(StrContains(top.seen(), kEnter));
  EXPECT_TRUE(StrContains(top.seen(), "runner.question"));
}

// `spanring tail` with its output in a file.
class Tailing {
 public:
  Tailing(const test::TestDatabase& database, const std::string& file, const std::string& more)
      : file_(file) {
    pid_ = fork();
    if (pid_ == 0) {
      setenv("DATABASE_URL", database.conninfo().c_str(), 1);
      const std::string command =
          absl::StrCat("exec \"$SPANRING_PROGRAM\" tail --json ", more, " >", file);
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // It has begun.
  }
  ~Tailing() {
    if (pid_ > 0) End();
  }
  // The executions printed so far, in order.
  [[nodiscard]] std::vector<int> Ids() const {
    std::vector<int> ids;
    for (const auto& line : absl::StrSplit(Contents(file_), '\n', absl::SkipEmpty())) {
      ids.push_back(json::parse(std::string(line))["execution_id"]);
    }
    return ids;
  }
  void Await(const std::vector<int>& want) const {
    for (int i = 0; i < 800 && Ids() != want; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(Ids(), want);
  }
  int End() {
    kill(pid_, SIGINT);
    int status = -1;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  std::string file_;
  pid_t pid_ = -1;
};

// What a batch of the writer's leaves: an execution, with its root or without.
std::string Summary(const std::string& id, const std::string& started, const std::string& status) {
  return absl::StrCat(
      "INSERT INTO trace_execution_summaries (started_at, ended_at, execution_id, spans, "
      "failed_spans, timeout_spans, trace_id, root_duration_ns, root_service, root_operation, "
      "root_status, services) SELECT ",
      started, ", now(), ", id, ", 1, 0, 0, lpad('1', 32, '0')::uuid, ",
      status.empty() ? "NULL, NULL, NULL, NULL"
                     : absl::StrCat("1000000, 'runner', 'question', '", status, "'"),
      ", ARRAY['runner']");
}

TEST_F(Look, TailShowsEachExecutionOnceWhenItFinishes) {
  const Tailing tail(database_, folder_ + "/tail", "");
  EXPECT_EQ(tail.Ids(), std::vector<int>{}) << "what had finished before";
  database_.Run(Summary("10", "now() - interval '2 s'", "failed"));
  tail.Await({10});
  // Its root comes later; and 10 gets one more span.
  database_.Run(Summary("11", "now() - interval '2 s'", ""));
  database_.Run(
      "UPDATE trace_execution_summaries SET spans = 2, ended_at = now() "
      "WHERE execution_id = 10");
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_EQ(tail.Ids(), std::vector<int>{10});
  // While a span is open it has not finished.
  database_.Run(
      "INSERT INTO trace_open_spans (started_at, execution_id, trace_id, span_id, writer_id, "
      "service, operation) VALUES (now(), 11, lpad('1', 32, '0')::uuid, "
      "lpad('2', 32, '0')::uuid, lpad('3', 32, '0')::uuid, 'runner', 'part')");
  database_.Run(
      "UPDATE trace_execution_summaries SET root_operation = 'question', "
      "root_service = 'runner', root_status = 'completed' WHERE execution_id = 11");
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_EQ(tail.Ids(), std::vector<int>{10});
  database_.Run("DELETE FROM trace_open_spans");
  tail.Await({10, 11});
}

TEST_F(Look, TailMissesNoneThatBeganLongAgoBehindManyNewer) {
  Tailing tail(database_, folder_ + "/tail", "--status timeout");
  database_.Run(Summary("1000 + i", "now() - i * interval '1 ms'", "completed") +
                " FROM generate_series(1, 9000) AS i");
  database_.Run(Summary("10", "now() - interval '5 h'", "timeout"));
  tail.Await({10});
  EXPECT_EQ(tail.End(), 0) << "Ctrl-C is the way to end it";
}

TEST_F(Look, TailSinceShowsWhatHasFinished) {
  const Tailing tail(database_, folder_ + "/tail", "--since 3h --service router");
  tail.Await({2, 3});
}

TEST_F(Look, TailGoesOnWhenTheConnectionComesBack) {
  const Tailing tail(database_, folder_ + "/tail", "2>/dev/null");
  database_.Run(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
      "WHERE datname = current_database() AND pid <> pg_backend_pid()");
  database_.Run(Summary("10", "now()", "completed"));
  tail.Await({10});
}

TEST_F(Look, HtmlIsOneFileThatRunsNothing) {
  const std::string file = folder_ + "/2.html";
  const Outcome outcome = Ask({"export", "2", "-o", file});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(StrContains(outcome.out, "2.html (html): 2 spans")) << outcome.out;
  const std::string page = Contents(file);
  EXPECT_EQ(page.find("<!DOCTYPE html>"), 0U);
  for (const char* no : {"<script", "src=", "href=", "url(", "@import", "http://", "https://"}) {
    EXPECT_FALSE(StrContains(page, no)) << no;
  }
  for (const char* part : {"Root cause", "Diagnosis", "router.ask", "title=\"", "job-2",
                           "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; more",
                           "prefers-color-scheme:dark"}) {
    EXPECT_TRUE(StrContains(page, part)) << part;
  }
  const Outcome trace = Ask({"export", "--trace", std::string(31, '0') + "2", "--format", "html"});
  EXPECT_EQ(trace.exit_code, 0) << trace.err;
  EXPECT_TRUE(StrContains(trace.out, "router.ask"));
}

// Slices of one thread lie within one another or apart; those that overlap are asynchronous.
TEST_F(Look, PerfettoSlicesNest) {
  const Outcome outcome = Ask({"export", "3", "--format", "perfetto"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json document = json::parse(outcome.out);
  EXPECT_EQ(document["displayTimeUnit"], "ms");
  std::multiset<std::string> phases;
  std::set<std::string> processes;
  for (const json& event : document["traceEvents"]) {
    phases.insert(event["ph"].get<std::string>());
    if (event["name"] == "process_name") processes.insert(event["args"]["name"]);
    if (event["ph"] == "X" && event["name"] == "question") {
      EXPECT_EQ(event["dur"], 50e6);
      EXPECT_EQ(event["args"]["job_id"], "job-3");
    }
  }
  EXPECT_EQ(phases.count("X"), 3U) << outcome.out;
  EXPECT_EQ(phases.count("b"), 1U) << "the second ask overlaps the first";
  EXPECT_EQ(phases.count("e"), 1U);
  EXPECT_EQ(processes, (std::set<std::string>{"router", "runner"}));
}

TEST_F(Look, ExportChoosesTheFormatAndSaysWhatItWrote) {
  const std::string csv = folder_ + "/x.csv";
  const Outcome said = Ask({"export", "3", "-o", csv, "--json"});
  EXPECT_EQ(json::parse(said.out)["format"], "csv") << said.err;
  EXPECT_EQ(json::parse(said.out)["spans"], 4);
  EXPECT_EQ(Contents(csv).find("TraceID,SpanID,ParentID,ServiceName,"), 0U);
  EXPECT_TRUE(json::parse(Ask({"export", "3", "-o", "-"}).out)["data"].is_array());
  EXPECT_EQ(Ask({"export", "3", "-o", folder_ + "/no/such"}).exit_code, 1);
}

TEST_F(Look, ExitCodes) {
  EXPECT_EQ(Ask({"export", "404"}).exit_code, 1);
  EXPECT_TRUE(StrContains(Ask({"export", "404"}).err, "execution 404 has no spans here"));
  EXPECT_EQ(Ask({"export", "--trace", std::string(32, 'a')}).exit_code, 1);
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"export"},
                                             {"export", "x"},
                                             {"export", "1", "--trace", "aa"},
                                             {"export", "--trace", "xyz"},
                                             {"export", "1", "--format", "xml"},
                                             {"list", "--status", "bad"},
                                             {"list", "--since", "bogus"},
                                             {"list", "--min-duration", "5"},
                                             {"list", "--limit", "0"},
                                             {"tail", "--since", "bogus"},
                                             {"top", "--sort", "name"},
                                             {"top", "--since", "bogus"},
                                             {"completion", "tcsh"},
                                             {"completion"}}) {
    const Outcome outcome = Ask(wrong);
    EXPECT_EQ(outcome.exit_code, 2) << wrong[0] << " " << wrong.back() << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  const test::TestDatabase empty(test::TestDatabase::Schema::kEmpty);
  for (const std::vector<std::string>& asked :
       std::vector<std::vector<std::string>>{{"export", "1"}, {"list"}, {"tail"}, {"top"}}) {
    const Outcome bare = RunProgram(asked, {"DATABASE_URL=" + empty.conninfo()});
    EXPECT_EQ(bare.exit_code, 3) << asked[0] << bare.err;
    EXPECT_TRUE(StrContains(bare.err, "run: spanring migrate")) << bare.err;
    EXPECT_EQ(RunProgram(asked, {"DATABASE_URL=host=/nonexistent"}).exit_code, 3) << asked[0];
  }
}

TEST_F(Look, AReaderMaySeeAllOfIt) {
  const std::string role = "look_test_" + database_.name();
  database_.Run("CREATE ROLE \"" + role + "\" LOGIN; GRANT spanring_reader TO \"" + role + "\"");
  const std::vector<std::string> environment = {"DATABASE_URL=" + database_.conninfo(),
                                                "PGOPTIONS=-c role=" + role};
  for (const char* format : {"jaeger", "otlp", "perfetto", "csv", "html"}) {
    const Outcome outcome = RunProgram({"export", "3", "--format", format}, environment);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  EXPECT_EQ(RunProgram({"list"}, environment).exit_code, 0);
  EXPECT_EQ(RunProgram({"top"}, environment).exit_code, 0);
  database_.Run("DROP ROLE \"" + role + "\"");
}

// --- The manual and the completion know what the program knows ---

}  // namespace
}  // namespace spanring::cli
