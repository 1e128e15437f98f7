// A traced program to learn from: workers execute questions, and each question goes from the runner
// to a router and on to a function, three services that know of each other only by what is sent.
// Some executions are made to fail; `spanring root-cause ID` says of each why.
//
//   ENABLE_DB_TRACING=true DATABASE_URL=postgresql://... spanring-sample-runner
//
// Time is compressed: an execution takes minutes in its spans and milliseconds here. Whatever would
// take long moves the question's own clock (World), and spans take their times from it through
// SetStartTime and SetEndTime. A program that works in real time needs neither.
//
// The last line on standard output is a report in JSON. Exit status 1: spans were lost.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "spanring/spanring.h"

namespace {

using spanring::CallSite;
using spanring::Span;
using spanring::SpanContext;

// Empty: every Tracer stands for the one of the process.
spanring::Tracer tracer;

enum class Fault { kNone, kSlowSpan, kConnectionRefused, kTimeout, kModalFailure, kNetworkGap };

const char* FaultName(Fault fault) {
  static constexpr std::array kNames = {"none",    "slow_span",     "connection_refused",
                                        "timeout", "modal_failure", "network_gap"};
  return kNames[static_cast<std::size_t>(fault)];
}

// The clock of one question, which all services read.
class World {
 public:
  explicit World(absl::Time start) : now_(start) {}
  absl::Time now() const { return now_; }
  // Time is compressed here: a minute is one real millisecond.
  void Pass(absl::Duration time) {
    now_ += time;
    std::this_thread::sleep_for(absl::ToChronoMicroseconds(time / 60'000));
  }

 private:
  absl::Time now_;
};

struct Question {
  std::int64_t execution_id;
  Fault fault;
  absl::Time asked_at;
  absl::Duration inference;  // How long the model thinks.
};

// What goes over the wire, and what comes back.
struct Request {
  std::string traceparent;
  const Question& question;
  World& world;
};
struct Reply {
  absl::Status status;
  std::string error_type;
};

// Starts a span of the question as a child of `parent`; the root of a trace if that is not valid.
Span Begin(CallSite& site, const SpanContext& parent, const Question& question,
           const World& world) {
  Span span = tracer.StartSpan(parent, site);
  span.SetExecutionContext("job-17", question.execution_id, "llama-3-70b", "eu-west");
  span.SetStartTime(world.now());
  return span;
}

// The service that sent a request; not valid while tracing is off, which does no harm.
SpanContext Caller(const Request& request) {
  return SpanContext::FromTraceparent(request.traceparent).value_or(SpanContext());
}

// Ends a span by what came of it, and hands that on.
Reply End(Span& span, const World& world, Reply reply) {
  span.SetEndTime(world.now());
  if (reply.status.ok()) {
    span.Complete();
  } else if (absl::IsDeadlineExceeded(reply.status)) {
    span.Complete("timeout");
  } else {
    span.CompleteWithError(reply.status, reply.error_type);
  }
  return reply;
}

// Calls another service. Each runs on a thread of its own, as it would in a process of its own.
Reply Call(Reply (*service)(const Request&), const Request& request) {
  return std::async(std::launch::async, service, request).get();
}

// --- The function ---

std::string Infer(const Question& question, World& world) {
  if (question.fault == Fault::kModalFailure) {
    world.Pass(absl::Seconds(9));
    throw std::runtime_error("CUDA out of memory: tried to allocate 2.50 GiB");
  }
  world.Pass(question.inference);
  return "42";
}

Reply ModalService(const Request& request) {
  static constinit CallSite kInference("modal", "modal.inference");
  constexpr absl::Duration kDeadline = absl::Minutes(5);
  World& world = request.world;
  Span span = Begin(kInference, Caller(request), request.question, world);
  span.SetAttributes({{{"gpu", "H100"}, {"tokens", 512}, {"temperature", 0.7}, {"warm", true}}});
  try {
    const absl::Time started_at = world.now();
    Infer(request.question, world);
    const bool late = world.now() - started_at >= kDeadline;
    return End(span, world,
               {late ? absl::DeadlineExceededError("no answer in time") : absl::OkStatus(), ""});
  } catch (const std::exception& e) {
    return End(span, world, {absl::InternalError(e.what()), "ModalFunctionError"});
  }
}

// --- The router ---

// A real connection to where nobody listens: a Unix socket that is bound, and no more.
Reply ConnectToNobody() {
  const int nobody = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t size =
      sizeof(address.sun_family);  // Linux finds a free name for it: unix(7), autobind.
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  int error = 0;
  if (bind(nobody, generic, size) == 0) {
    size = sizeof(address);
    getsockname(nobody, generic, &size);
    if (connect(client, generic, size) != 0) error = errno;
  }
  close(client);
  close(nobody);
  return {absl::UnavailableError(absl::StrCat("connect to modal: ", std::strerror(error))),
          error == ECONNREFUSED ? "ECONNREFUSED" : "connect"};
}

Reply CallModal(const Request& request, const SpanContext& parent) {
  static constinit CallSite kModalCall("router", "router.modal_call");
  World& world = request.world;
  Span span = Begin(kModalCall, parent, request.question, world);
  if (request.question.fault == Fault::kConnectionRefused) {
    world.Pass(absl::Milliseconds(2));
    return End(span, world, ConnectToNobody());
  }
  world.Pass(absl::Seconds(4));  // The function's container starts.
  Reply reply =
      Call(ModalService, {span.context().ToTraceparent(), request.question, request.world});
  world.Pass(absl::Seconds(1));
  return End(span, world, std::move(reply));
}

Reply RouterService(const Request& request) {
  static constinit CallSite kInferenceRequest("router", "router.inference_request");
  World& world = request.world;
  Span span = Begin(kInferenceRequest, Caller(request), request.question, world);
  world.Pass(absl::Milliseconds(100));
  Reply reply = CallModal(request, span.context());
  world.Pass(absl::Milliseconds(100));
  return End(span, world, std::move(reply));
}

// --- The runner ---

Reply CallRouter(const Question& question, World& world) {
  static constinit CallSite kRouterCall("runner", "runner.hybrid_router_call");
  // The parent is the thread's current span.
  Span span = Begin(kRouterCall, tracer.CurrentContext(), question, world);
  const absl::Time called_at = world.now();
  world.Pass(absl::Milliseconds(100));
  Reply reply = Call(RouterService, {span.context().ToTraceparent(), question, world});
  if (question.fault == Fault::kNetworkGap) {
    // The router has answered; its answer is lost, and the runner waits until its deadline.
    world.Pass(called_at + absl::Milliseconds(238'900) - world.now());
    reply.status = absl::DeadlineExceededError("no answer from the router in 238.9 s");
  }
  return End(span, world, std::move(reply));
}

Reply ExecuteQuestion(const Question& question) {
  static constinit CallSite kExecute("runner", "runner.execute_question");
  World world(question.asked_at);
  Span span = Begin(kExecute, SpanContext(), question, world);
  span.SetAttribute("attempt", 1);
  const spanring::Scope scope(span);  // Spans that this thread starts below are its children.
  Reply reply = CallRouter(question, world);
  return End(span, world, std::move(reply));
}

// Executions 2150 to 2195, a little more than a minute apart, the last of them just over.
std::vector<Question> Questions() {
  constexpr std::int64_t kFirst = 2150;
  constexpr std::int64_t kLast = 2195;
  std::vector<Question> questions;
  for (std::int64_t id = kFirst; id <= kLast; ++id) {
    Question question{
        .execution_id = id,
        .fault = Fault::kNone,
        .asked_at = absl::Now() - absl::Minutes(10) - absl::Seconds(64) * (kLast - id),
        .inference = absl::Seconds(50) + absl::Seconds(id * 7 % 13)};
    switch (id) {
      case 2158:
        question.fault = Fault::kSlowSpan;
        break;
      case 2165:
        question.fault = Fault::kConnectionRefused;
        break;
      case 2172:
        question.fault = Fault::kTimeout;
        break;
      case 2181:
        question.fault = Fault::kModalFailure;
        break;
      case 2189:
        question.fault = Fault::kConnectionRefused;
        break;
      case 2193:
        question.fault = Fault::kNetworkGap;
        break;
      default:
        break;
    }
    if (question.fault == Fault::kSlowSpan) question.inference = absl::Seconds(250);
    if (question.fault == Fault::kTimeout) question.inference = absl::Minutes(5);
    if (question.fault == Fault::kNetworkGap) question.inference = absl::Milliseconds(77'300);
    questions.push_back(question);
  }
  return questions;
}

// Four workers take questions until none is left. Returns what became of each.
std::vector<absl::Status> ExecuteAll(const std::vector<Question>& questions) {
  std::vector<absl::Status> outcomes(questions.size());
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      for (std::size_t n; (n = next.fetch_add(1)) < questions.size();) {
        outcomes[n] = ExecuteQuestion(questions[n]).status;
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  return outcomes;
}

// --- What a span costs ---

// Nanoseconds for one child's start and end, over a burst that fits into the thread's ring.
double MeasureBurst(const SpanContext& parent) {
  static constinit CallSite kMeasure("runner", "runner.measure_span");
  constexpr int kSpans = 4000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kSpans; ++i) tracer.StartSpan(parent, kMeasure).Complete();
  const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
  return time.count() / kSpans;
}

struct Costs {
  double off_ns = 0;
  double on_ns = 0;
};

Costs MeasureCosts(bool traced) {
  constexpr std::size_t kBursts = 9;
  std::array<double, kBursts> off{};
  std::array<double, kBursts> on{};
  const Span root = tracer.StartSpan("runner", "runner.measure");
  for (std::size_t i = 0; i < kBursts; ++i) {
    if (traced) tracer.SetEnabled(false).IgnoreError();
    off[i] = MeasureBurst(root.context());
    if (!traced) continue;
    tracer.SetEnabled(true).IgnoreError();
    on[i] = MeasureBurst(root.context());
    // These spans are real, and counted: they leave the ring before the next ones come.
    tracer.Flush(absl::Seconds(1)).IgnoreError();
  }
  std::sort(off.begin(), off.end());
  std::sort(on.begin(), on.end());
  return {off[kBursts / 2], on[kBursts / 2]};
}

void PrintReport(const Costs& costs, const spanring::Stats& stats,
                 const std::vector<Question>& questions,
                 const std::vector<absl::Status>& outcomes) {
  std::vector<std::string> failed;
  std::vector<std::string> faults;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (!outcomes[i].ok()) failed.push_back(absl::StrCat(questions[i].execution_id));
    if (questions[i].fault == Fault::kNone) continue;
    faults.push_back(absl::StrFormat(R"({"execution_id":%d,"fault":"%s"})",
                                     questions[i].execution_id, FaultName(questions[i].fault)));
  }
  absl::PrintF(
      R"({"span_cost_off_ns":%.2f,"span_cost_on_ns":%.2f,"spans_started":%d,"spans_persisted":%d,)"
      R"("spans_dropped":%d,"executions":%d,"failed_executions":[%s],"faults":[%s]})"
      "\n",
      costs.off_ns, costs.on_ns, stats.started, stats.persisted, stats.dropped, questions.size(),
      absl::StrJoin(failed, ","), absl::StrJoin(faults, ","));
}

}  // namespace

int main() {
  tracer = spanring::Tracer::FromEnvironment();
  const bool traced = tracer.enabled();
  if (!traced) std::fputs("sample runner: tracing is off; set ENABLE_DB_TRACING=true\n", stderr);
  std::fputs("sample runner: time is compressed, minutes of an execution are milliseconds here\n",
             stderr);
  const std::vector<Question> questions = Questions();
  const std::vector<absl::Status> outcomes = ExecuteAll(questions);
  const Costs costs = MeasureCosts(traced);

  absl::Status status = absl::OkStatus();
  if (traced) {
    status = tracer.Flush(absl::Seconds(30));
    status.Update(tracer.Shutdown(absl::Seconds(10)));
  }
  const spanring::Stats stats = tracer.GetStats();
  if (!status.ok())
    std::fputs(absl::StrCat("sample runner: ", status.ToString(), "\n").c_str(), stderr);
  PrintReport(costs, stats, questions, outcomes);
  return status.ok() && stats.persisted + stats.sampled_out == stats.started ? 0 : 1;
}
