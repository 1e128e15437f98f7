// The job runner of ./run e2e: executes what stands on its standard input, a line of JSON each,
//   {"id": 7, "fault": "none", "port": 8000}
// eight at a time (those of the fault "delayed" wait apart), by asking the router on that port.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "spanring/spanring.h"

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

// Longer than what trace_limits calls a network timeout.
constexpr std::chrono::seconds kDeadline{75};
constexpr int kWorkers = 8;

struct Execution {
  std::int64_t id = 0;
  std::string fault;
  std::uint16_t port = 0;
};

struct Answer {
  error_code error;
  int status = 0;
};

// One POST on a connection of its own.
class Call {
 public:
  Call(const Execution& execution, const std::string& traceparent) : stream_(io_) {
    request_.method(http::verb::post);
    request_.version(11);
    request_.target("/infer/" + execution.fault + "?execution_id=" + std::to_string(execution.id));
    request_.set(http::field::host, "127.0.0.1");
    request_.set("traceparent", traceparent);
    request_.prepare_payload();
    endpoint_ = {net::ip::make_address("127.0.0.1"), execution.port};
  }

  Answer Run() {
    stream_.expires_after(kDeadline);
    stream_.async_connect(endpoint_, [this](error_code error) {
      if (Failed(error)) return;
      http::async_write(stream_, request_, [this](error_code written, std::size_t) {
        if (Failed(written)) return;
        http::async_read(stream_, buffer_, response_,
                         [this](error_code read, std::size_t) { Failed(read); });
      });
    });
    io_.run();
    if (!answer_.error) answer_.status = response_.result_int();
    return answer_;
  }

 private:
  bool Failed(error_code error) {
    answer_.error = error;
    return error.failed();
  }

  net::io_context io_;
  beast::tcp_stream stream_;
  net::ip::tcp::endpoint endpoint_;
  http::request<http::empty_body> request_;
  beast::flat_buffer buffer_;
  http::response<http::string_body> response_;
  Answer answer_;
};

void Execute(const Execution& execution) {
  spanring::Tracer tracer;
  spanring::Span question = tracer.StartSpan("runner", "runner.execute_question");
  question.SetExecutionContext("job-e2e", execution.id, "llama-3-70b", "eu-west");
  const spanring::Scope scope(question);
  spanring::Span call =
      tracer.StartSpan("runner", "runner.hybrid_router_call", {{"span.kind", "client"}});
  const Answer answer = Call(execution, call.context().ToTraceparent()).Run();
  if (answer.error == beast::error::timeout) {
    call.Complete("timeout");
    question.Complete("timeout");
  } else if (answer.error) {
    call.CompleteWithError(answer.error.message(), "connection error");
    question.Complete("failed");
  } else if (answer.status != 200) {
    call.CompleteWithError("HTTP " + std::to_string(answer.status), std::to_string(answer.status));
    question.Complete("failed");
  } else {
    call.Complete();
    question.Complete();
  }
}

}  // namespace

int main() {
  spanring::Tracer tracer = spanring::Tracer::FromEnvironment();
  std::vector<Execution> waiting;
  std::vector<std::thread> threads;
  for (std::string line; std::getline(std::cin, line);) {
    const nlohmann::json json = nlohmann::json::parse(line);
    Execution execution{json.at("id"), json.at("fault"), json.at("port")};
    if (execution.fault == "delayed") {
      threads.emplace_back(Execute, execution);
    } else {
      waiting.push_back(std::move(execution));
    }
  }
  std::mutex mutex;
  for (int worker = 0; worker < kWorkers; ++worker) {
    threads.emplace_back([&] {
      while (true) {
        Execution execution;
        {
          const std::lock_guard lock(mutex);
          if (waiting.empty()) return;
          execution = std::move(waiting.back());
          waiting.pop_back();
        }
        Execute(execution);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return tracer.Flush(absl::Seconds(30)).ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}
