// The server against clients that are slow, too large, too many or no HTTP at all.
#include "http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "client.h"

namespace spanring::http {
namespace {

using namespace std::chrono_literals;
using test::Client;

constexpr char kGet[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

Response Echo(const Request& request) {
  if (request.path == "/throw") throw std::runtime_error("a secret");
  if (request.path == "/empty")
    return {.status = 204, .content_type = "", .body = "", .headers = {}};
  return {.status = 200,
          .content_type = "text/plain",
          .body = request.method + " " + request.path + " " + request.body,
          .headers = {{"X-Test", "yes"}}};
}

std::unique_ptr<Server> Started(ServerOptions options, Handler handler = Echo) {
  auto server = Server::Start(options, std::move(handler));
  if (!server.ok()) throw std::runtime_error(std::string(server.status().message()));
  return *std::move(server);
}

std::string StatusLine(const std::string& response) {
  return response.substr(0, response.find("\r\n"));
}

TEST(Server, AnswersSeveralRequestsOnOneConnection) {
  const auto server = Started({});
  Client client(server->port());
  client.Send(
      "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\n"
      "Content-Length: 4\r\n\r\nbody");
  const std::string first = client.Receive();
  EXPECT_EQ(StatusLine(first), "HTTP/1.1 200 OK");
  EXPECT_TRUE(first.ends_with("\r\n\r\nGET /a ")) << first;
  EXPECT_NE(first.find("X-Test: yes\r\n"), std::string::npos);
  EXPECT_NE(first.find(" GMT\r\n"), std::string::npos) << "the Date of RFC 9110";
  EXPECT_TRUE(client.Receive().ends_with("POST /b body"));
  EXPECT_EQ(server->counts().requests, 2U);
  EXPECT_EQ(server->counts().connections, 1U);
}

TEST(Server, TakesChunkedBodies) {
  const auto server = Started({});
  Client client(server->port());
  client.Send(
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_TRUE(client.Receive().ends_with("POST /c abcde"));
}

TEST(Server, HeadHasTheLengthAndNoBody) {
  const auto server = Started({});
  Client client(server->port());
  client.Send("HEAD /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string response = client.Receive();
  EXPECT_NE(response.find("Content-Length: 9\r\n"), std::string::npos);
  EXPECT_TRUE(response.ends_with("\r\n\r\n")) << response;
}

TEST(Server, NoContentHasNoLength) {
  const auto server = Started({});
  Client client(server->port());
  client.Send("GET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string response = client.Receive();
  EXPECT_EQ(StatusLine(response), "HTTP/1.1 204 No Content");
  EXPECT_EQ(response.find("Content-"), std::string::npos) << response;
}

TEST(Server, RefusesWhatIsNoHttp) {
  const auto server = Started({});
  for (const char* bytes :
       {"hello\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHo st: x\r\n\r\n"}) {
    Client client(server->port());
    client.Send(bytes);
    EXPECT_EQ(StatusLine(client.Receive()), "HTTP/1.1 400 Bad Request") << bytes;
    EXPECT_TRUE(client.IsClosed());
  }
  EXPECT_EQ(server->counts().requests_refused, 6U);
}

// A proxy in front that reads a body where we read none, or the other way round, takes the rest for
// the next client's request.
TEST(Server, RefusesWhatAProxyMayReadInAnotherWay) {
  const auto server = Started({});
  const std::string smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const std::string header :
       {"Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length: 5\r\nContent-Length: 6",
        "Host: y"}) {
    Client client(server->port());
    client.Send("POST / HTTP/1.1\r\nHost: x\r\n" + header + "\r\n\r\n" + smuggled);
    EXPECT_EQ(StatusLine(client.Receive()), "HTTP/1.1 400 Bad Request") << header;
    EXPECT_TRUE(client.IsClosed()) << header;
  }
  EXPECT_EQ(server->counts().requests, 0U);
}

TEST(Server, AsksForABodyThatAClientKeepsBack) {
  const auto server = Started({.max_body_bytes = 1000});
  Client client(server->port());
  client.Send("POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.Receive(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("body");
  EXPECT_TRUE(client.Receive().ends_with("POST /b body"));
  client.Send(
      "POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4000\r\n\r\n");
  EXPECT_EQ(StatusLine(client.Receive()), "HTTP/1.1 413 Payload Too Large");
}

TEST(Server, WhatComesBehindABodyIsNoHeader) {
  const auto server = Started({}, [](const Request& request) {
    return Response{.status = 200,
                    .content_type = "",
                    .body = request.Header("authorization").value_or("none"),
                    .headers = {}};
  });
  Client client(server->port());
  client.Send(
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: a\r\n"
      "\r\n");
  EXPECT_TRUE(client.Receive().ends_with("\r\n\r\nnone"));
}

TEST(Server, BoundsHeaderAndBody) {
  const auto server = Started({.max_header_bytes = 2048, .max_body_bytes = 1000});
  Client wordy(server->port());
  wordy.Send("GET / HTTP/1.1\r\nX: " + std::string(4000, 'x') + "\r\n\r\n");
  EXPECT_EQ(StatusLine(wordy.Receive()), "HTTP/1.1 431 Request Header Fields Too Large");
  Client large(server->port());
  large.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n");
  EXPECT_EQ(StatusLine(large.Receive()), "HTTP/1.1 413 Payload Too Large");
  Client chunked(server->port());
  chunked.Send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
               std::string(2000, 'x') + "\r\n0\r\n\r\n");
  EXPECT_EQ(StatusLine(chunked.Receive()), "HTTP/1.1 413 Payload Too Large");
}

// What stands between the pieces of a body has no limit of its own in Beast.
TEST(Server, BoundsWhatStandsBetweenChunks) {
  const auto server = Started({.max_body_bytes = 1 << 20});
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& begin : {head + "5;", head + "0\r\nX: "}) {
    Client client(server->port());
    client.Send(begin + std::string(300'000, 'x'));
    EXPECT_EQ(StatusLine(client.Receive()), "HTTP/1.1 431 Request Header Fields Too Large");
  }
  Client client(server->port());
  client.Send(head + "80000\r\n" + std::string(0x80000, 'x') + "\r\n0\r\n\r\n");
  EXPECT_EQ(StatusLine(client.Receive()), "HTTP/1.1 200 OK") << "a piece may be long";
}

TEST(Server, ClosesWhatIsTooSlow) {
  const auto server = Started({.request_time = 200ms, .idle_time = 200ms});
  Client silent(server->port());
  Client half(server->port());
  half.Send("GET / HTTP/1.1\r\nHo");
  EXPECT_TRUE(silent.IsClosed());
  EXPECT_TRUE(half.IsClosed());
  Client prompt(server->port());
  prompt.Send(kGet);
  EXPECT_EQ(StatusLine(prompt.Receive()), "HTTP/1.1 200 OK");
}

TEST(Server, AClientThatTakesNothingHoldsNobodyUp) {
  const auto server = Started({.response_time = 300ms}, [](const Request&) {
    return Response{
        .status = 200, .content_type = "", .body = std::string(64 << 20, 'x'), .headers = {}};
  });
  Client stuck(server->port());
  stuck.Send(kGet);
  for (int i = 0; i < 200 && server->counts().open_connections > 0; ++i) {
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(server->counts().open_connections, 0U);
}

TEST(Server, AnswersThatNobodyTakesAreBounded) {
  const auto server = Started({.max_held_bytes = 100 << 20}, [](const Request& request) {
    const std::size_t size = request.path == "/small" ? 10 : 64 << 20;
    return Response{
        .status = 200, .content_type = "", .body = std::string(size, 'x'), .headers = {}};
  });
  Client stuck(server->port());
  stuck.Send(kGet);
  EXPECT_TRUE(stuck.Begin().starts_with("HTTP/1.1 200 OK"));
  Client second(server->port());
  second.Send(kGet);
  EXPECT_EQ(StatusLine(second.Receive()), "HTTP/1.1 503 Service Unavailable");
  Client small(server->port());
  small.Send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(StatusLine(small.Receive()), "HTTP/1.1 200 OK");
}

TEST(Server, RefusesConnectionsBeyondItsBound) {
  const auto server = Started({.max_connections = 2});
  Client first(server->port());
  Client second(server->port());
  first.Send(kGet);
  first.Receive();
  second.Send(kGet);
  second.Receive();
  Client third(server->port());
  third.Send(kGet);
  EXPECT_TRUE(third.IsClosed());
  EXPECT_EQ(server->counts().connections_refused, 1U);
}

TEST(Server, RefusesRequestsBeyondItsWorkers) {
  std::atomic<bool> go = false;
  std::atomic<int> inside = 0;
  const auto server = Started({.workers = 1, .max_waiting = 1}, [&](const Request&) {
    ++inside;
    while (!go) std::this_thread::sleep_for(1ms);
    return Response{.status = 200, .content_type = "", .body = "done", .headers = {}};
  });
  Client first(server->port());
  first.Send(kGet);
  while (inside == 0) std::this_thread::sleep_for(1ms);
  Client second(server->port());
  second.Send(kGet);
  // The third comes behind the second, which was read before it when its connection was there
  // first.
  while (server->counts().requests < 2) std::this_thread::sleep_for(1ms);
  Client third(server->port());
  third.Send(kGet);
  const std::string refused = third.Receive();
  EXPECT_EQ(StatusLine(refused), "HTTP/1.1 503 Service Unavailable");
  EXPECT_NE(refused.find("Retry-After: 1\r\n"), std::string::npos) << refused;
  go = true;
  EXPECT_TRUE(first.Receive().ends_with("done"));
  EXPECT_TRUE(second.Receive().ends_with("done"));
}

TEST(Server, SaysItsRefusalsAsItIsTold) {
  std::atomic<bool> go = false;
  std::atomic<int> inside = 0;
  const auto server = Started(
      {.workers = 1,
       .max_waiting = 0,
       .max_body_bytes = 10,
       .refusal =
           [](const Request& request, int status, std::string_view) {
             return Response{.status = status,
                             .content_type = request.Header("content-type").value_or("none"),
                             .body = "no",
                             .headers = {}};
           }},
      [&](const Request& request) -> Response {
        if (request.path == "/throw") throw std::runtime_error("a secret");
        ++inside;
        while (!go) std::this_thread::sleep_for(1ms);
        return {.status = 200, .content_type = "", .body = "done", .headers = {}};
      });
  const auto told = [&](const std::string& begin, const std::string& end) {
    Client client(server->port());
    client.Send(begin + " HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\n" + end);
    const std::string response = client.Receive();
    EXPECT_NE(response.find("Content-Type: a/b\r\n"), std::string::npos) << response;
    EXPECT_TRUE(response.ends_with("\r\n\r\nno")) << response;
    return response.substr(9, 3);
  };
  EXPECT_EQ(told("GET /throw", "\r\n"), "500");
  EXPECT_EQ(told("POST /", "Content-Length: 11\r\n\r\n"), "413");
  EXPECT_EQ(told("POST /", "Transfer-Encoding: chunked\r\n\r\n20\r\n"), "413");
  EXPECT_EQ(told("GET /%", "\r\n"), "400");
  Client first(server->port());
  first.Send(kGet);
  while (inside == 0) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(told("POST /", "Content-Length: 2\r\n\r\nhi"), "503");
  go = true;
  EXPECT_TRUE(first.Receive().ends_with("done"));
}

TEST(Server, WhatAHandlerThrowsStaysInside) {
  const auto server = Started({});
  Client client(server->port());
  client.Send("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string response = client.Receive();
  EXPECT_EQ(StatusLine(response), "HTTP/1.1 500 Internal Server Error");
  EXPECT_EQ(response.find("secret"), std::string::npos);
}

TEST(Server, StopLetsARequestEndAndClosesTheRest) {
  std::atomic<bool> inside = false;
  std::atomic<bool> go = false;
  const auto server = Started({}, [&](const Request&) {
    inside = true;
    while (!go) std::this_thread::sleep_for(1ms);
    return Response{.status = 200, .content_type = "", .body = "done", .headers = {}};
  });
  Client idle(server->port());
  Client busy(server->port());
  busy.Send(kGet);
  while (!inside) std::this_thread::sleep_for(1ms);
  std::thread stopping([&] { server->Stop(); });
  EXPECT_TRUE(idle.IsClosed());
  go = true;
  EXPECT_TRUE(busy.Receive().ends_with("done"));
  EXPECT_TRUE(busy.IsClosed());
  stopping.join();
  EXPECT_THROW(Client(server->port()), std::runtime_error);
}

TEST(Server, StopWaitsOnlySoLong) {
  std::atomic<int> inside = 0;
  std::atomic<bool> go = false;
  auto server = Started({.workers = 1, .stop_time = 100ms}, [&](const Request&) {
    ++inside;
    while (!go) std::this_thread::sleep_for(1ms);
    return Response{.status = 200, .content_type = "", .body = "done", .headers = {}};
  });
  Client busy(server->port());
  busy.Send(kGet);
  while (inside == 0) std::this_thread::sleep_for(1ms);
  Client waiting(server->port());
  waiting.Send(kGet);
  while (server->counts().requests < 2) std::this_thread::sleep_for(1ms);
  EXPECT_FALSE(server->Stop());
  EXPECT_TRUE(busy.IsClosed());
  EXPECT_FALSE(server->Stop()) << "still";
  go = true;
  server.reset();
  EXPECT_EQ(inside, 1) << "what waited is left out";
}

TEST(Server, SaysWhyItCannotListen) {
  const auto first = Started({});
  const auto taken = Server::Start({.port = first->port()}, Echo);
  EXPECT_EQ(taken.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(taken.status().message().find("in use"), std::string::npos) << taken.status();
  EXPECT_EQ(Server::Start({.address = "here"}, Echo).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Server, ServesManyAtOnce) {
  const auto server = Started({});
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 32; ++i) {
    threads.emplace_back([&, i] {
      Client client(server->port());
      const std::string path = "/" + std::to_string(i);
      for (int n = 0; n < 50; ++n) {
        client.Send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
        if (client.Receive().ends_with("GET " + path + " ")) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 32 * 50);
}

}  // namespace
}  // namespace spanring::http
