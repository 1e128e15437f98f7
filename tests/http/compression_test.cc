// Who gets gzip, and that it is the answer.
#include "http/compression.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <ctime>
#include <string>

#include "client.h"
#include "http/server.h"

namespace spanring::http {
namespace {

std::string Unzipped(const std::string& compressed) {
  std::string plain(1 << 20, '\0');
  z_stream stream = {};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  stream.next_out = reinterpret_cast<Bytef*>(plain.data());
  stream.avail_out = static_cast<uInt>(plain.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  plain.resize(stream.total_out);
  inflateEnd(&stream);
  return plain;
}

Response Compressed(const std::string& accept_encoding, Response response) {
  Request request;
  request.headers = {{"accept-encoding", accept_encoding}};
  Compress(request, &response);
  return response;
}

TEST(AcceptsGzip, ByNameOrByStarUnlessWithNoWeight) {
  for (const char* yes : {"gzip", "GZIP", "x-gzip", "br, gzip", "deflate;q=1, gzip;q=0.1", "*",
                          "br;q=1.0,*;q=0.5", " gzip ; Q=0.001"}) {
    EXPECT_TRUE(AcceptsGzip(yes)) << yes;
  }
  for (const char* no : {"", "br", "identity", "gzip;q=0", "gzip;q=0.000, *", "*, gzip; q=0",
                         "*;q=0", "gzipped", "gzip;q=", ",;,"}) {
    EXPECT_FALSE(AcceptsGzip(no)) << no;
  }
}

TEST(Compress, GivesTheSameTextInFewerBytes) {
  std::string body;
  while (body.size() < 100'000) body += "{\"row_order\":" + std::to_string(body.size()) + "},";
  const Response response =
      Compressed("gzip", {.content_type = "application/json", .body = body, .headers = {}});
  EXPECT_EQ(response.headers, (Fields{{"Vary", "Accept-Encoding"}, {"Content-Encoding", "gzip"}}));
  EXPECT_LT(response.body.size(), body.size() / 4);
  EXPECT_EQ(Unzipped(response.body), body);
}

TEST(Compress, LeavesWhatIsSmallOrNoTextOrNotAskedFor) {
  const std::string large(kSmallestCompressedBytes, 'x');
  const std::string small(kSmallestCompressedBytes - 1, 'x');
  const Fields vary = {{"Vary", "Accept-Encoding"}};
  Response response = Compressed("gzip", {.body = small, .headers = {}});
  EXPECT_EQ(response.body, small);
  EXPECT_EQ(response.headers, vary) << "a larger one would be another";
  response = Compressed("br", {.body = large, .headers = {}});
  EXPECT_EQ(response.body, large);
  EXPECT_EQ(response.headers, vary);
  response = Compressed("gzip", {.content_type = "image/png", .body = large, .headers = {}});
  EXPECT_EQ(response.body, large);
  EXPECT_TRUE(response.headers.empty());
  response = Compressed("gzip", {.status = 304, .content_type = "", .body = "", .headers = {}});
  EXPECT_EQ(response.headers, vary) << "as the 200 would";
}

TEST(Gunzip, TakesMembersBehindOneAnotherUpToABound) {
  const std::string body(100'000, 'x');
  const Response response =
      Compressed("gzip", {.content_type = "text/plain", .body = body, .headers = {}});
  EXPECT_EQ(Gunzip(response.body, body.size()).value_or(""), body);
  EXPECT_EQ(Gunzip(response.body + response.body, 1 << 20).value_or(""), body + body);
  for (const std::size_t most : {std::size_t{0}, std::size_t{1000}, body.size() - 1}) {
    EXPECT_TRUE(absl::IsResourceExhausted(Gunzip(response.body, most).status())) << most;
  }
  for (std::size_t size = 0; size < response.body.size(); ++size) {
    EXPECT_TRUE(absl::IsInvalidArgument(Gunzip(response.body.substr(0, size), 1 << 20).status()))
        << size;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(Gunzip(response.body + "tail", 1 << 20).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Gunzip("plain", 1 << 20).status()));
}

// 2 MB of them behind 8 MiB took 10 s of a processor.
TEST(Gunzip, MembersWithNothingInThemCostNothing) {
  const std::string body(8 << 20, 'x');
  std::string members =
      Compressed("gzip", {.content_type = "text/plain", .body = body, .headers = {}}).body;
  const std::string empty("\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0", 20);
  for (int i = 0; i < 100'000; ++i) members += empty;
  const std::clock_t began = std::clock();
  EXPECT_EQ(Gunzip(members, 16 << 20).value_or(""), body);
  EXPECT_LT((std::clock() - began) / CLOCKS_PER_SEC, 3);
}

TEST(Server, CompressesForThoseWhoTakeIt) {
  const std::string body(100'000, 'x');
  const auto server = Server::Start({}, [&](const Request&) {
    return Response{.content_type = "text/plain", .body = body, .headers = {}};
  });
  ASSERT_TRUE(server.ok());
  test::Client client((*server)->port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, br\r\n\r\n");
  std::string response = client.Receive();
  EXPECT_NE(response.find("Content-Encoding: gzip\r\n"), std::string::npos) << response;
  EXPECT_EQ(Unzipped(response.substr(response.find("\r\n\r\n") + 4)), body);
  client.Send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n");
  const std::string head = client.Receive();
  EXPECT_NE(head.find("Content-Encoding: gzip\r\n"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  test::Client plain((*server)->port());
  plain.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(plain.Receive().ends_with(body));
}

}  // namespace
}  // namespace spanring::http
