#include "sql_serve.h"

#include <chrono>
#include <cstdio>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "answers/reader.h"
#include "http/client.h"
#include "http/server.h"
#include "serve/service.h"
#include "server_bench.h"

namespace spanring::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Seen {
  std::vector<double> ms;
  std::uint64_t failures = 0;
  std::uint64_t bytes = 0;
};

void Ask(std::uint16_t port, const Crowd& crowd, std::uint64_t seed, Clock::time_point end,
         Seen* seen) {
  std::mt19937_64 random(seed);
  test::Client client(port, 60);
  for (std::uint64_t n = 0; Clock::now() < end; ++n) {
    // The very first of them began before the history's first full hour, and may have been removed.
    const std::uint64_t id = crowd.executions / 2 + random() % (crowd.executions / 2);
    const std::string paths[] = {absl::StrCat("/api/v1/executions/", id, "/trace"),
                                 absl::StrCat("/api/v1/executions/", id, "/diagnosis"),
                                 absl::StrCat("/api/v1/executions/", id, "/root-cause"),
                                 "/api/v1/executions?limit=50"};
    const Clock::time_point begin = Clock::now();
    const bool sent =
        client.Send(absl::StrCat("GET ", paths[n % 4], " HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    const std::string response = sent ? client.Receive() : "";
    seen->ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    seen->bytes += response.size();
    if (response.starts_with("HTTP/1.1 200 ")) continue;
    if (seen->failures == 0)
      std::fprintf(stderr, "%s: %s\n", paths[n % 4].c_str(), response.c_str());
    ++seen->failures;
    if (response.empty()) return;  // The connection is gone.
  }
}

}  // namespace

nlohmann::ordered_json ServeCrowd(const std::string& conninfo, const Crowd& crowd) {
  answers::Reader reader({.conninfo = conninfo, .as_reader = true});
  const http::Server* serving = nullptr;
  serve::Service service(
      &reader, {.token = "", .hosts = {}, .counts = [&serving] { return serving->counts(); }});
  const auto server = http::Server::Start(
      {}, [&service](const http::Request& request) { return service.Answer(request); });
  Check(server.status());
  serving = server->get();
  std::vector<Seen> seen(static_cast<std::size_t>(crowd.connections));
  {
    const Clock::time_point end = Clock::now() + std::chrono::seconds(crowd.seconds);
    std::vector<std::jthread> clients;
    for (std::size_t i = 0; i < seen.size(); ++i) {
      clients.emplace_back(
          [&, i] { Ask((*server)->port(), crowd, crowd.seed + i, end, &seen[i]); });
    }
  }
  Seen all;
  for (Seen& one : seen) {
    all.ms.insert(all.ms.end(), one.ms.begin(), one.ms.end());
    all.failures += one.failures;
    all.bytes += one.bytes;
  }
  const double requests = static_cast<double>(all.ms.size());
  return {{"connections", crowd.connections},
          {"seconds", crowd.seconds},
          {"requests", all.ms.size()},
          {"failures", all.failures},
          {"requests_per_s", requests / crowd.seconds},
          {"bytes_per_request", static_cast<double>(all.bytes) / requests},
          {"ms", Percentiles(std::move(all.ms))}};
}

}  // namespace spanring::bench
