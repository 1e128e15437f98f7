// The program `spanring`: parses the command line, runs one command, turns a Status into one line.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/context.h"
#include "pg/client.h"

namespace spanring::cli {
namespace {

constexpr char kHelp[] = R"(spanring: why did this execution fail? Traces that live in PostgreSQL.
Usage: spanring [OPTIONS] COMMAND

Ask
  waterfall ID            an execution's spans as a tree on a time axis
  diagnose ID             each operation against its baseline, gaps, anomalies
  root-cause ID           what failed, where, the evidence, what to do; or, with --window
                          and --baseline, which service changed between two times
  critical-path ID        what it waited for, from start to end
  network ID              calls between services: time between them, clocks that disagree
  similar ID              executions that went alike
  compare A B             two executions, span by span
Look
  list, tail              executions: the newest; live, as they finish
  top                     operations by total time, live
  serve                   web page, APIs, MCP on http://127.0.0.1:8126; --otlp takes spans
  mcp                     answers for language models, on standard input and output
  export ID               as Jaeger, OTLP, Perfetto, CSV, or one HTML page
Look after
  health                  sizes, counts, writers, drops by reason
  doctor                  why are no spans arriving? each cause with what to do
  migrate [up|status]     bring the schema up to this program; migrate down takes it back
  recover [--list|--all]  deliver the spans that processes left when they died
  import FILE...          Jaeger, OTLP or Zipkin JSON, or CSV; - is standard input
  retain --days N         remove what is older
  completion SHELL        for bash, zsh or fish
Try
  demo                    the whole way once, in a private PostgreSQL
  dev up|down|status|psql a private PostgreSQL on a Unix socket, for development
Options
  -d, --database URL      else DATABASE_URL, else PG* variables, else the one of `dev up`;
                          a plain name is a database of the one of `dev up`
  --json                  the same answer as JSON
  --color WHEN            auto, always or never; NO_COLOR is honoured
  --width N               columns (default: the terminal's, else 100)
  --state DIR             folder of the private PostgreSQL (SPANRING_STATE_DIR)
  --version, --help       COMMAND --help tells more

Example: spanring diagnose 2193 --json | jq '.[] | select(.is_anomaly)'
Exit status: 0 fine; 1 not found or problems found; 2 usage; 3 no database or no schema.
)";

// The command chosen on the line; CLI11's callbacks only note it.
using Command = std::function<absl::StatusOr<int>(const Context&)>;

struct Arguments {
  std::int64_t id = 0;
  std::int64_t other_id = 0;
  std::vector<std::string> window;
  std::vector<std::string> baseline;
  int limit = 5;
  int days = 0;
  int to_version = 0;
  bool drop_data = false;
  bool list = false;
  bool all_databases = false;
  std::string runner;
  std::vector<std::string> files;
  std::string format;
  bool dry_run = false;
  ServeArguments serve;
  ExportArguments exported;
  ExecutionFilters filters;
  int executions = 20;
  TopArguments top;
  std::string shell;
  std::vector<std::string> sql;
  std::vector<std::string> psql;
};

CLI::App* AddCommand(CLI::App* parent, const char* name, const char* what, Command* chosen,
                     Command command) {
  CLI::App* app = parent->add_subcommand(name, what);
  app->fallthrough();
  app->callback([chosen, command = std::move(command)] {
    if (!*chosen) *chosen = command;
  });
  return app;
}

// CLI11 takes what is beyond 64 bits for the largest number.
std::string IsExecutionId(const std::string& text) {
  std::int64_t id = 0;
  return absl::SimpleAtoi(text, &id) ? "" : "an execution id is a whole number of 64 bits: " + text;
}

void AddQuestions(CLI::App* app, Arguments* arguments, Command* chosen) {
  using Question = absl::StatusOr<int> (*)(const Context&, std::int64_t);
  const auto add = [&](const char* name, const char* what, Question question) {
    AddCommand(
        app, name, what, chosen,
        [arguments, question](const Context& context) { return question(context, arguments->id); })
        ->add_option("ID", arguments->id, "execution id")
        ->check(IsExecutionId)
        ->required();
  };
  add("waterfall", "An execution's spans as a tree on a time axis", Waterfall);
  add("diagnose", "Each operation against its baseline, gaps, anomalies", Diagnose);
  add("critical-path", "What it waited for, from start to end, and how long", CriticalPath);
  add("network", "Calls between services: time between them, clocks that disagree", Network);
  CLI::App* cause =
      AddCommand(app, "root-cause", "What failed, where, the evidence, what to do", chosen,
                 [arguments](const Context& context) {
                   return arguments->window.empty()
                              ? RootCause(context, arguments->id)
                              : RootCauseOfWindow(context, arguments->window, arguments->baseline);
                 });
  CLI::Option* id = cause->add_option("ID", arguments->id, "execution id")->check(IsExecutionId);
  CLI::Option* window =
      cause->add_option("--window", arguments->window, "from and to: what changed then")
          ->expected(2)
          ->excludes(id);
  CLI::Option* baseline =
      cause->add_option("--baseline", arguments->baseline, "from and to: compared with this")
          ->expected(2)
          ->needs(window);
  window->needs(baseline);
  cause->parse_complete_callback([id, window] {
    if (id->empty() && window->empty()) throw CLI::RequiredError("ID");
  });
  CLI::App* compare = AddCommand(app, "compare", "Two executions, span by span", chosen,
                                 [arguments](const Context& context) {
                                   return Compare(context, arguments->id, arguments->other_id);
                                 });
  compare->add_option("A", arguments->id, "execution id")->check(IsExecutionId)->required();
  compare->add_option("B", arguments->other_id, "execution id")->check(IsExecutionId)->required();
  CLI::App* similar = AddCommand(app, "similar", "Executions that went alike", chosen,
                                 [arguments](const Context& context) {
                                   return Similar(context, arguments->id, arguments->limit);
                                 });
  similar->add_option("ID", arguments->id, "execution id")->check(IsExecutionId)->required();
  similar->add_option("--limit", arguments->limit, "at most so many (5)")
      ->check(CLI::Range(1, 10000));
}

void AddDev(CLI::App* app, Arguments* arguments, Command* chosen) {
  CLI::App* dev = app->add_subcommand("dev", "A private PostgreSQL on a Unix socket");
  dev->fallthrough()->require_subcommand(1);
  AddCommand(dev, "up", "Make it where there is none, and start it", chosen, DevUp);
  AddCommand(dev, "down", "Stop it; its data stay", chosen, DevDown);
  AddCommand(dev, "status", "Say whether it runs and how to reach it", chosen, DevStatus);
  CLI::App* psql = AddCommand(dev, "psql", "psql in it", chosen, [arguments](const Context& c) {
    std::vector<std::string> command;
    for (const std::string& sql : arguments->sql) command.insert(command.end(), {"-c", sql});
    command.insert(command.end(), arguments->psql.begin(), arguments->psql.end());
    return DevPsql(c, command);
  });
  psql->add_option("-c,--command", arguments->sql, "run this and end")->expected(1)->take_all();
  psql->add_option("ARGS", arguments->psql, "for psql, behind --");
}

void AddImport(CLI::App* app, Arguments* arguments, Command* chosen) {
  CLI::App* import =
      AddCommand(app, "import", "Store spans that others recorded", chosen,
                 [arguments](const Context& context) {
                   return Import(context, arguments->files, arguments->format, arguments->dry_run);
                 });
  import->add_option("FILE", arguments->files, "files, gzipped or not; - is standard input")
      ->required();
  import->add_option("--format", arguments->format, "jaeger, otlp, zipkin or csv; else by content")
      ->check(CLI::IsMember({"jaeger", "otlp", "zipkin", "csv"}));
  import->add_flag("--dry-run", arguments->dry_run, "read and report only");
  import->footer(
      R"(Importing the same content again changes nothing; after an interruption it goes on
where it stopped. What is malformed is refused with its place, the rest is kept.

Examples
  spanring import trace.json spans-*.csv.gz -d spanring_dev
  curl -s http://localhost:16686/api/traces/1a2b3c | spanring import -
  spanring import --dry-run --json trace.json | jq .refused)");
}

void AddServe(CLI::App* app, Arguments* arguments, Command* chosen) {
  CLI::App* serve =
      AddCommand(app, "serve", "Web page and APIs", chosen,
                 [arguments](const Context& context) { return Serve(context, arguments->serve); });
  serve->add_option("--address", arguments->serve.address, "listens on this (127.0.0.1)");
  serve->add_option("--port", arguments->serve.port, "and this port (8126); 0: any free one");
  serve->add_option("--host", arguments->serve.hosts, "names by which it may be called too");
  serve->add_option("--token-file", arguments->serve.token_file,
                    "requests must bring the token in it; SPANRING_SERVE_TOKEN does the same");
  CLI::Option* otlp = serve->add_flag("--otlp", arguments->serve.otlp,
                                      "takes spans by OTLP/HTTP, too: POST /v1/traces on 4318");
  serve->add_option("--otlp-port", arguments->serve.otlp_port, "another port for that; 0: any free")
      ->needs(otlp);
  serve
      ->add_option("--otlp-database", arguments->serve.otlp_database,
                   "stores them with this: a login with the rights of spanring_writer; "
                   "SPANRING_OTLP_DATABASE does the same")
      ->needs(otlp);
  CLI::App* mcp = AddCommand(app, "mcp", "The Model Context Protocol on standard input and output",
                             chosen, [arguments](const Context& context) {
                               return Mcp(context, arguments->serve.query_database);
                             });
  for (CLI::App* command : {serve, mcp}) {
    command->add_option("--query-database", arguments->serve.query_database,
                        "query_traces connects with this: a login with the rights of "
                        "spanring_reader only; SPANRING_QUERY_DATABASE does the same");
  }
}

void AddExport(CLI::App* app, Arguments* arguments, Command* chosen) {
  ExportArguments* what = &arguments->exported;
  CLI::App* exported =
      AddCommand(app, "export", "Spans for other programs, or as one page", chosen,
                 [what](const Context& context) { return Export(context, *what); });
  CLI::Option* id = exported->add_option("ID", what->execution_id, "execution id: its traces")
                        ->check(IsExecutionId);
  CLI::Option* trace =
      exported->add_option("--trace", what->trace, "instead: this trace, by UUID or hex id")
          ->excludes(id);
  exported
      ->add_option("--format", what->format,
                   "jaeger (the default, unless FILE ends in .html or .csv), otlp, perfetto, csv "
                   "or html")
      ->check(CLI::IsMember({"jaeger", "otlp", "perfetto", "csv", "html"}));
  exported->add_option("-o,--output", what->output, "into this file, not standard output");
  exported->parse_complete_callback([id, trace] {
    if (id->empty() && trace->empty()) throw CLI::RequiredError("ID or --trace");
  });
  exported->footer(
      R"(jaeger, otlp and csv are what import reads: into another database they give the same spans.
perfetto is for https://ui.perfetto.dev, html a page that needs nothing else.

Examples
  spanring export 2193 -o 2193.html
  spanring export 2193 --format otlp | curl -d @- -H 'Content-Type: application/json' \
      http://localhost:4318/v1/traces)");
}

std::string IsLength(const std::string& text) {
  return LengthMs(text) ? "" : "a length is a number and ms, s, m, h, d or w, as in 5s: " + text;
}

void AddFilters(CLI::App* app, ExecutionFilters* filters) {
  app->add_option("--status", filters->statuses, "completed, failed, timeout, started; by comma")
      ->delimiter(',')
      ->check(CLI::IsMember({"completed", "failed", "timeout", "started"}));
  app->add_option("--job", filters->job, "of this job");
  app->add_option("--model", filters->model, "with this model");
  app->add_option("--region", filters->region, "in this region");
  app->add_option("--service", filters->service, "in which this service took part");
  app->add_option("--min-duration", filters->min_duration, "that took at least so long: 5s")
      ->check(IsLength);
  app->add_flag("--causes", filters->causes, "and why those failed that did not complete");
}

void AddLook(CLI::App* app, Arguments* arguments, Command* chosen) {
  CLI::App* list =
      AddCommand(app, "list", "The newest executions", chosen, [arguments](const Context& context) {
        return List(context, arguments->filters, arguments->executions);
      });
  AddFilters(list, &arguments->filters);
  list->add_option("--since", arguments->filters.since, "started since: 1h, 2d, or a time");
  list->add_option("--limit", arguments->executions, "at most so many (20)")
      ->check(CLI::Range(1, 10000));
  CLI::App* tail =
      AddCommand(app, "tail", "Executions as they finish; Ctrl-C ends it", chosen,
                 [arguments](const Context& context) { return Tail(context, arguments->filters); });
  AddFilters(tail, &arguments->filters);
  tail->add_option("--since", arguments->filters.since,
                   "also what has finished since: 10m, 1h, or a time");
  CLI::App* top =
      AddCommand(app, "top", "Operations by total time", chosen,
                 [arguments](const Context& context) { return Top(context, arguments->top); });
  top->add_option("--since", arguments->top.since, "of this time: 1h (the default), 2d, or a time");
  top->add_option("--sort", arguments->top.sort, "time (the default), count, p95 or failures")
      ->check(CLI::IsMember({"time", "count", "p95", "failures"}));
  top->add_flag("--once", arguments->top.once, "once, not every 2 s, on a terminal too");
  AddExport(app, arguments, chosen);
}

void AddCompletion(CLI::App* app, Arguments* arguments, Command* chosen) {
  AddCommand(app, "completion", "Completion of the command line, for a shell", chosen,
             [app, arguments](const Context&) -> absl::StatusOr<int> {
               const absl::StatusOr<std::string> text = CompletionFor(arguments->shell, *app);
               if (!text.ok()) return text.status();
               std::fputs(text->c_str(), stdout);
               return kExitOk;
             })
      ->add_option("SHELL", arguments->shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

void AddCare(CLI::App* app, Arguments* arguments, Command* chosen) {
  AddImport(app, arguments, chosen);
  AddCommand(app, "health", "Sizes, counts, writers, drops by reason", chosen, Health);
  AddCommand(app, "doctor", "Why are no spans arriving?", chosen, Doctor);
  CLI::App* recover =
      AddCommand(app, "recover", "Deliver the spans that processes left when they died", chosen,
                 [arguments](const Context& context) {
                   return Recover(context, arguments->list, arguments->all_databases);
                 });
  recover->add_flag("--list", arguments->list, "only say what there is, and who traces now");
  recover->add_flag("--all", arguments->all_databases,
                    "also what was meant for another database than this one");
  AddCommand(app, "retain", "Remove what is older", chosen,
             [arguments](const Context& context) { return Retain(context, arguments->days); })
      ->add_option("--days", arguments->days, "keep so many days")
      ->required()
      ->check(CLI::Range(1, 36500));
  AddCommand(app, "demo", "The whole way once", chosen, [arguments](const Context& context) {
    return Demo(context, arguments->runner);
  })->add_option("--runner", arguments->runner, "the sample runner's path");
  // Subcommands' callbacks run first: `up` without a word.
  CLI::App* migrate =
      AddCommand(app, "migrate", "Bring the schema up to this program", chosen, MigrateUp);
  migrate->require_subcommand(0, 1);
  AddCommand(migrate, "up", "Apply what is pending", chosen, MigrateUp);
  AddCommand(migrate, "status", "What is applied", chosen, MigrateStatus);
  CLI::App* down = AddCommand(
      migrate, "down", "Take migrations back", chosen, [arguments](const Context& context) {
        return MigrateDown(context, arguments->to_version, arguments->drop_data);
      });
  down->add_option("--to", arguments->to_version, "the version to go back to; 0 takes all back")
      ->required()
      ->check(CLI::Range(0, 100000));
  down->add_flag("--drop-data", arguments->drop_data, "yes, the spans in it may go");
}

void AddGlobalOptions(CLI::App* app, GlobalOptions* options) {
  app->add_option("-d,--database", options->database, "connection string, URL or name");
  app->add_flag("--json", options->json, "the answer as JSON");
  app->add_option("--color", options->color, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app->add_option("--width", options->width, "columns")->check(CLI::Range(40, 1000));
  app->add_option("--state", options->state_dir, "folder of the private PostgreSQL");
}

// The subcommand whose --help was asked for: the deepest that was named.
const CLI::App* Named(const CLI::App* app) {
  const std::vector<const CLI::App*> below =
      app->get_subcommands([](const CLI::App* sub) { return sub->parsed(); });
  return below.empty() ? app : Named(below.front());
}

// What CLI11 has to say, on one line, and where the command is explained.
int UsageError(const std::string& message, const CLI::App* command) {
  std::string path;
  for (; command->get_parent() != nullptr; command = command->get_parent()) {
    path = absl::StrCat(command->get_name(), " ", path);
  }
  PrintNote(absl::StrCat(pg::OneLine(message), ": see spanring ", path, "--help"));
  return kExitUsage;
}

int Run(int argc, char** argv) {
  Context context;
  Arguments arguments;
  Command chosen;
  context.options.state_dir = DefaultStateDir();
  CLI::App app("traces that live in PostgreSQL", "spanring");
  app.set_version_flag("--version", absl::StrCat("spanring ", SPANRING_VERSION));
  app.require_subcommand(1);
  AddGlobalOptions(&app, &context.options);
  AddQuestions(&app, &arguments, &chosen);
  AddDev(&app, &arguments, &chosen);
  AddLook(&app, &arguments, &chosen);
  AddServe(&app, &arguments, &chosen);
  AddCare(&app, &arguments, &chosen);
  AddCompletion(&app, &arguments, &chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const CLI::App* named = Named(&app);
    std::fputs(named == &app ? kHelp : named->help().c_str(), stdout);
    return kExitOk;
  } catch (const CLI::CallForVersion& version) {
    Print(version.what());
    return kExitOk;
  } catch (const CLI::ParseError& error) {
    if (argc <= 1) std::fputs(kHelp, stderr);
    if (argc <= 1) return kExitUsage;
    const std::vector<std::string> unknown = app.remaining();
    const bool no_command = app.get_subcommands().empty() && !unknown.empty();
    return UsageError(no_command ? "unknown command or option: " + unknown.front() : error.what(),
                      Named(&app));
  }
  const char* invoked_as = std::getenv("SPANRING_INVOKED_AS");
  context.invoked_as = invoked_as != nullptr && invoked_as[0] != '\0' ? invoked_as : argv[0];
  context.style = Style::FromMode(context.options.color, STDOUT_FILENO);
  context.width = ChooseWidth(context.options.width, STDOUT_FILENO);
  context.progress = isatty(STDERR_FILENO) == 1;
  setenv("PGCONNECT_TIMEOUT", "10", /*replace=*/0);
  const absl::StatusOr<int> code = chosen(context);
  if (code.ok() && std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return *code;
  if (code.ok()) {
    PrintNote(absl::StrCat("cannot write to standard output: ", std::strerror(errno)));
    return kExitBadAnswer;
  }
  PrintNote(std::string(code.status().message()));
  return ExitCodeOf(code.status());
}

}  // namespace
}  // namespace spanring::cli

int main(int argc, char** argv) { return spanring::cli::Run(argc, argv); }
