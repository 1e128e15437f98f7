// A service between two others, and a child process: W3C's traceparent goes on with our span in it,
// tracestate and baggage as they came. https://www.w3.org/TR/trace-context/
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "spanring/spanring.h"

namespace {

using Headers = std::map<std::string, std::string, std::less<>>;  // As your HTTP library has them.

// Handles a request, and returns the headers of the one that it makes in turn.
Headers HandleRequest(spanring::Tracer& tracer, const Headers& request) {
  const auto caller = spanring::RemoteParent::FromHeaders([&](std::string_view name) {
    const auto found = request.find(name);
    return found == request.end() ? std::string() : found->second;
  });
  spanring::Span span = tracer.StartSpan(caller.context(), "router", "router.inference_request");
  Headers next;
  caller.ToHeaders(
      [&](std::string_view name, std::string_view value) { next.emplace(name, value); },
      span.context());
  return next;
}

// A child process finds its parent in its environment, by FromEnvironment.
int RunChild(const std::string& program, const spanring::RemoteParent& caller,
             const spanring::Span& span) {
  std::vector<std::string> environment = caller.ToEnvironment(span.context());
  std::vector<char*> entries;
  for (std::string& entry : environment) entries.push_back(entry.data());
  entries.push_back(nullptr);
  std::string name = program;
  std::string argument = "child";
  char* const arguments[] = {name.data(), argument.data(), nullptr};
  pid_t child = 0;
  int status = 0;
  if (posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, entries.data()) != 0 ||
      waitpid(child, &status, 0) != child) {
    return EXIT_FAILURE;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  spanring::Tracer tracer = spanring::Tracer::FromEnvironment();
  const auto parent = spanring::RemoteParent::FromEnvironment();
  if (argc > 1) {
    spanring::Span span = tracer.StartSpan(parent.context(), "modal", "modal.inference");
    return EXIT_SUCCESS;
  }
  spanring::Span call = tracer.StartSpan(parent.context(), "runner", "runner.hybrid_router_call");
  Headers request;
  parent.ToHeaders(
      [&](std::string_view name, std::string_view value) { request.emplace(name, value); },
      call.context());
  for (const auto& [name, value] : HandleRequest(tracer, request)) {
    std::printf("%s: %s\n", name.c_str(), value.c_str());
  }
  return RunChild(argv[0], parent, call);
}
