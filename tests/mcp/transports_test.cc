// Lines and requests, without a database.
#include "mcp/transports.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace spanring::mcp {
namespace {

using ::testing::HasSubstr;

constexpr char kPing[] = R"({"jsonrpc":"2.0","id":1,"method":"ping"})";

Protocol Nowhere() {
  return Protocol({.reader = []() -> absl::StatusOr<answers::Reader*> {
                     return absl::UnavailableError("nowhere");
                   },
                   .query_conninfo = []() -> absl::StatusOr<std::string> {
                     return absl::UnavailableError("nowhere");
                   }},
                  "1");
}

std::string Exchange(const std::string& input) {
  int in[2];
  int out[2];
  EXPECT_EQ(pipe(in), 0);
  EXPECT_EQ(pipe(out), 0);
  std::thread writer([&] {
    std::string_view left = input;
    while (!left.empty()) {
      const ssize_t count = write(in[1], left.data(), std::min<std::size_t>(left.size(), 777));
      if (count <= 0) break;
      left.remove_prefix(static_cast<std::size_t>(count));
    }
    close(in[1]);
  });
  std::string output;
  std::thread reader([&] {
    char piece[4096];
    for (ssize_t count = 0; (count = read(out[0], piece, sizeof(piece))) > 0;) {
      output.append(piece, static_cast<std::size_t>(count));
    }
  });
  EXPECT_TRUE(ServeLines(Nowhere(), in[0], out[1]).ok());
  close(out[1]);
  writer.join();
  reader.join();
  close(in[0]);
  close(out[0]);
  return output;
}

TEST(Lines, OneMessageALineUntilTheEnd) {
  const std::string pong = "{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{}}\n";
  EXPECT_EQ(Exchange(std::string(kPing) + "\n\r\n\n" + kPing + "\r\n" + kPing), pong + pong + pong);
  EXPECT_EQ(Exchange(""), "");
  EXPECT_EQ(Exchange("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n"), "");
}

TEST(Lines, AnEndlessLineIsPassedOver) {
  const std::string output = Exchange(std::string(5'000'000, 'x') + "\n" + kPing + "\n" +
                                      std::string(2'000'000, ' ') + "\n");
  EXPECT_THAT(output, HasSubstr("1 MiB"));
  EXPECT_THAT(output, HasSubstr("\"result\":{}"));
}

http::Response Post(const http::Fields& headers, const std::string& method = "POST") {
  http::Request request;
  request.method = method;
  request.headers = headers;
  request.body = kPing;
  EXPECT_TRUE(http::ParseTarget("/mcp", &request));
  return AnswerHttp(Nowhere(), request, {"spans.example"});
}

TEST(Http, AnswersPostsInJson) {
  const http::Response response = Post({{"content-type", "application/json; charset=utf-8"},
                                        {"accept", "application/json, text/event-stream"}});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_THAT(response.body, HasSubstr("result"));
  for (const char* method : {"GET", "DELETE", "PUT"}) EXPECT_EQ(Post({}, method).status, 405);
  EXPECT_EQ(Post({{"content-type", "text/plain"}}).status, 415);
  EXPECT_EQ(Post({}).status, 415);
  EXPECT_EQ(Post({{"content-type", "application/json"}, {"accept", "text/html"}}).status, 406);
}

TEST(Http, OnlyOriginsOfThisMachineMayAsk) {
  const auto from = [](const char* origin) {
    return Post({{"content-type", "application/json"}, {"origin", origin}}).status;
  };
  for (const char* origin : {"http://localhost", "https://localhost:6274", "http://127.0.0.1:1",
                             "http://[::1]:6274", "https://spans.example", "HTTP://LOCALHOST"}) {
    EXPECT_EQ(from(origin), std::string_view(origin) == "HTTP://LOCALHOST" ? 403 : 200) << origin;
  }
  for (const char* origin : {"http://evil.example", "null", "", "http://localhost.evil.example",
                             "http://evil.example:80@localhost", "http://localhost:80@evil.example",
                             "file://localhost", "http://[::1].evil.example"}) {
    EXPECT_EQ(from(origin), 403) << origin;
  }
}

}  // namespace
}  // namespace spanring::mcp
