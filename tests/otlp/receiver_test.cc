// Requests to a database of their own: what is stored, how often, and what the sender is told.
#include "otlp/receiver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fault/faulty_proxy.h"
#include "import/reading.h"
#include "otlp/upkeep.h"
#include "otlp/wire.h"
#include "support/database.h"

namespace spanring::otlp {
namespace {

using importer::Gzipped;
using nlohmann::json;
using ::testing::HasSubstr;
using Rows = std::vector<std::vector<std::string>>;

constexpr char kJsonType[] = "application/json";
constexpr char kProtobufType[] = "application/x-protobuf";

std::string Header(const http::Response& response, std::string_view name) {
  for (const auto& [field, value] : response.headers) {
    if (field == name) return value;
  }
  return "";
}

// So many days from now.
std::string SpanOfDay(int day) {
  const auto start = std::chrono::system_clock::now() + std::chrono::days(day);
  const auto start_ns =
      static_cast<std::uint64_t>(start.time_since_epoch() / std::chrono::nanoseconds(1));
  return Bytes(1, FromHex("0af7651916cd43dd8448eb211c80319c")) +
         Bytes(2, FromHex("b7ad6b7169203331")) + Fixed64(7, start_ns) + Fixed64(8, start_ns);
}

class ReceiverTest : public testing::Test {
 protected:
  http::Response Post(const std::string& type, std::string body, http::Fields more = {}) {
    return PostTo(receiver_, type, std::move(body), std::move(more));
  }
  static http::Response PostTo(Receiver& receiver, const std::string& type, std::string body,
                               http::Fields more = {}) {
    http::Request request;
    request.method = "POST";
    EXPECT_TRUE(http::ParseTarget("/v1/traces", &request));
    request.headers = {{"host", "localhost:4318"}, {"content-type", type}};
    request.headers.insert(request.headers.end(), more.begin(), more.end());
    request.body = std::move(body);
    return receiver.Answer(request);
  }
  std::string Count() const { return database_.Value("SELECT count(*) FROM trace_spans"); }
  Rows Writers() const {
    return database_.Rows(
        "SELECT service, spans_started, spans_persisted, spans_dropped, drops,"
        " stopped_at IS NOT NULL FROM trace_writers");
  }

  test::TestDatabase database_;
  Store store_{{.conninfo = database_.conninfo(), .as_writer = true, .version = "test"}};
  Receiver receiver_{&store_, {.token = "", .hosts = {"spans.example"}}};
};

TEST_F(ReceiverTest, TheSameSpansInEitherFormGiveTheSameRows) {
  const http::Response text = Post(kJsonType, std::string(kWholeJson));
  EXPECT_EQ(text.status, 200) << text.body;
  EXPECT_EQ(text.content_type, kJsonType);
  EXPECT_EQ(text.body, "{}");
  const http::Response protobuf =
      Post(kProtobufType, Gzipped(WholeRequest()), {{"content-encoding", "gzip"}});
  EXPECT_EQ(protobuf.status, 200);
  EXPECT_EQ(protobuf.content_type, kProtobufType);
  EXPECT_EQ(protobuf.body, "");
  EXPECT_EQ(
      database_.Rows("SELECT count(*), service, operation, status, error_type, error_message,"
                     " execution_id, job_id, region, duration_ns, trace_id, span_id,"
                     " parent_span_id, metadata ->> 'span.kind',"
                     " metadata #>> '{events,0,name}' FROM trace_spans"
                     " GROUP BY service, operation, status, error_type, error_message,"
                     " execution_id, job_id, region, duration_ns, trace_id, span_id,"
                     " parent_span_id, metadata"),
      (Rows{{"2", "router", "call", "failed", "IOError", "it broke", "42", "job-7", "eu", "11",
             "0af76519-16cd-43dd-8448-eb211c80319c", "00000000-0000-0000-b7ad-6b7169203331",
             "00000000-0000-0000-00f0-67aa0ba902b7", "client", "exception"}}));
  // The sums of the batches' transactions, and the process's account.
  EXPECT_EQ(database_.Value("SELECT spans FROM trace_executions WHERE execution_id = 42"), "2");
  EXPECT_EQ(Writers(), (Rows{{"spanring serve", "2", "2", "0", "{}", "f"}}));
  store_.Close();
  EXPECT_EQ(Writers(), (Rows{{"spanring serve", "2", "2", "0", "{}", "t"}}));
}

TEST_F(ReceiverTest, ABodyThatIsSentAgainIsStoredOnce) {
  const std::string body =
      RequestOf(Bytes(2, SmallSpan(1)) + Bytes(2, SmallSpan(2)) + Bytes(2, ""));
  std::vector<std::thread> threads;
  std::atomic<int> taken = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { taken += Post(kProtobufType, body).status == 200 ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, 4);
  // By another process too, compressed or not.
  Store other({.conninfo = database_.conninfo(), .as_writer = true, .version = "test"});
  Receiver receiver(&other, {});
  const http::Response again =
      PostTo(receiver, kProtobufType, Gzipped(body), {{"content-encoding", "gzip"}});
  EXPECT_EQ(again.status, 200);
  EXPECT_THAT(again.body, HasSubstr("1 malformed")) << "what it said the first time";
  EXPECT_EQ(Count(), "2");
  EXPECT_EQ(receiver_.counts().repeated + receiver.counts().repeated, 4U);
  EXPECT_EQ(receiver_.counts().spans_stored, 2U);
  EXPECT_EQ(receiver_.counts().spans_malformed, 1U);
  EXPECT_EQ(database_.Value("SELECT sum(spans_persisted) FROM trace_writers"), "2");
}

TEST_F(ReceiverTest, SaysWhichSpansAreLost) {
  database_.Run("ALTER TABLE trace_spans ADD CONSTRAINT no_bad CHECK (operation <> 'bad')");
  const std::string body =
      RequestOf(Bytes(2, SmallSpan(1)) + Bytes(2, SmallSpan(2, "bad")) + Bytes(2, ""));
  const http::Response protobuf = Post(kProtobufType, body);
  EXPECT_EQ(protobuf.status, 200);
  // partial_success, of it rejected_spans = 2 and error_message.
  ASSERT_GT(protobuf.body.size(), 6U);
  EXPECT_EQ(protobuf.body[0], '\x0a');
  EXPECT_THAT(protobuf.body, HasSubstr(std::string("\x08\x02\x12")));
  const http::Response text = Post(kJsonType, R"({"resourceSpans": [{"scopeSpans": [{"spans": [
      {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "00000000000000ff", "name": "good",
       "startTimeUnixNano": "1700000000000000000"}, {"name": "no ids"},
      {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "00000000000000fe", "name": "bad",
       "startTimeUnixNano": "1700000000000000000"}]}]}]})");
  EXPECT_EQ(text.status, 200);
  const json partial = json::parse(text.body)["partialSuccess"];
  EXPECT_EQ(partial["rejectedSpans"], "2");
  EXPECT_THAT(partial["errorMessage"].get<std::string>(), HasSubstr("no span id"));
  EXPECT_THAT(partial["errorMessage"].get<std::string>(), HasSubstr("1 rejected by the database"));
  EXPECT_EQ(Count(), "2");
  // All of them: sending them again would not help.
  const http::Response all = Post(kProtobufType, RequestOf(Bytes(2, SmallSpan(3, "bad"))));
  EXPECT_EQ(all.status, 200);
  EXPECT_THAT(all.body, HasSubstr("no_bad"));
  EXPECT_EQ(Writers(), (Rows{{"spanring serve", "5", "2", "3", R"({"rejected": 3})", "f"}}));
  EXPECT_EQ(receiver_.counts().spans_rejected, 3U);
  EXPECT_EQ(receiver_.counts().spans_malformed, 2U);
}

TEST_F(ReceiverTest, ADatabaseThatIsAwayIsNoLoss) {
  const std::string folder = PQhost(database_.connection());
  if (!folder.starts_with('/')) GTEST_SKIP() << "the server has no socket here";
  test::FaultyProxy proxy(folder + "/.s.PGSQL." + PQport(database_.connection()));
  Store store({.conninfo = database_.conninfo() + " " + proxy.conninfo(),
               .as_writer = true,
               .version = "test",
               .connect_timeout_ms = 1000,
               .batch_timeout_ms = 1500,
               .pause_ms = 0});
  Receiver receiver(&store, {});
  const auto send = [&](std::uint64_t id) {
    return PostTo(receiver, kProtobufType, RequestOf(Bytes(2, SmallSpan(id))));
  };
  proxy.SetMode(test::FaultyProxy::Mode::kRefuse);
  const http::Response away = send(1);
  EXPECT_EQ(away.status, 503);
  EXPECT_EQ(Header(away, "Retry-After"), "2");
  EXPECT_EQ(away.content_type, kProtobufType);
  EXPECT_THAT(away.body, testing::StartsWith("\x08\x0e\x12")) << "google.rpc.Status, UNAVAILABLE";
  proxy.SetMode(test::FaultyProxy::Mode::kPass);
  EXPECT_EQ(send(1).status, 200);
  // It falls silent: given up in time, and stored once when it is sent again.
  proxy.SetMode(test::FaultyProxy::Mode::kSwallow);
  EXPECT_EQ(send(2).status, 503);
  proxy.SetMode(test::FaultyProxy::Mode::kPass);
  EXPECT_EQ(send(2).status, 200);
  // The answer to a commit is lost: asked anew, the ledger knows.
  proxy.WhenServerSays("COPY", test::FaultyProxy::Fault::kCut, 1);
  EXPECT_EQ(send(3).status, 200);
  EXPECT_EQ(proxy.faults_left(), 0);
  // The server was restarted meanwhile: the sender does not notice.
  proxy.SetMode(test::FaultyProxy::Mode::kReset);
  proxy.SetMode(test::FaultyProxy::Mode::kPass);
  EXPECT_EQ(send(4).status, 200);
  EXPECT_EQ(Count(), "4");
  EXPECT_EQ(Writers(), (Rows{{"spanring serve", "4", "4", "0", "{}", "f"}}));
  EXPECT_EQ(receiver.counts().unavailable, 2U);
  EXPECT_EQ(receiver.counts().repeated, 0U);
}

// The process that stored them had them among its persisted spans, and not among those it started.
TEST_F(ReceiverTest, ACommitWhoseAnswerIsLostIsCountedWhenItsBodyComesAgain) {
  const std::string folder = PQhost(database_.connection());
  if (!folder.starts_with('/')) GTEST_SKIP() << "the server has no socket here";
  test::FaultyProxy proxy(folder + "/.s.PGSQL." + PQport(database_.connection()));
  Store store({.conninfo = database_.conninfo() + " " + proxy.conninfo(),
               .as_writer = true,
               .version = "test",
               .batch_timeout_ms = 1500,
               .pause_ms = 0});
  Receiver receiver(&store, {});
  const std::string body = RequestOf(Bytes(2, SmallSpan(1)));
  proxy.WhenServerSays("COPY", test::FaultyProxy::Fault::kSwallow, 1);
  EXPECT_EQ(PostTo(receiver, kProtobufType, body).status, 503);
  EXPECT_EQ(Count(), "1");
  EXPECT_EQ(PostTo(receiver, kProtobufType, body).status, 200);
  EXPECT_EQ(receiver.counts().spans_stored, 1U);
  EXPECT_EQ(receiver.counts().repeated, 0U);
  EXPECT_EQ(PostTo(receiver, kProtobufType, body).status, 200);
  EXPECT_EQ(receiver.counts().repeated, 1U);
  EXPECT_EQ(PostTo(receiver, kProtobufType, RequestOf(Bytes(2, SmallSpan(2)))).status, 200);
  EXPECT_EQ(Writers(), (Rows{{"spanring serve", "2", "2", "0", "{}", "f"}}));
  EXPECT_EQ(Count(), "2");
}

// Each step had as long, and those who waited for a worker were tried one behind the other.
TEST_F(ReceiverTest, WhatWaitsForALockIsGivenUpInTimeAndNothingIsTriedForAMoment) {
  Store store({.conninfo = database_.conninfo(),
               .as_writer = true,
               .version = "test",
               .batch_timeout_ms = 1500,
               .pause_ms = 1000});
  Receiver receiver(&store, {});
  EXPECT_EQ(PostTo(receiver, kProtobufType, RequestOf(Bytes(2, SmallSpan(1)))).status, 200);
  // Of a day that has no partition: one is made first.
  const std::string body = RequestOf(Bytes(2, SpanOfDay(-100)));
  const auto timed = [&](int status) {
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(PostTo(receiver, kProtobufType, body).status, status);
    return std::chrono::steady_clock::now() - began;
  };
  database_.Run("BEGIN; LOCK trace_spans IN ACCESS EXCLUSIVE MODE");
  EXPECT_LT(timed(503), std::chrono::milliseconds(2500));
  EXPECT_LT(timed(503), std::chrono::milliseconds(1000));
  database_.Run("ROLLBACK");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  timed(200);
  EXPECT_EQ(Count(), "2");
}

// While a partition is made nobody else stores spans, and a year of them was more than a request
// has time for.
TEST_F(ReceiverTest, SpansOfAYearMakePartitionsForSomeDaysOnly) {
  const auto partitions = [&] {
    return std::stoi(database_.Value("SELECT count(*) FROM trace_partitions"));
  };
  const int before = partitions();
  std::string spans;
  for (int day = -300; day <= 300; ++day) spans += Bytes(2, SpanOfDay(day));
  EXPECT_EQ(Post(kProtobufType, RequestOf(spans)).status, 200);
  EXPECT_EQ(Count(), "601");
  EXPECT_LE(partitions(), before + 10);
  EXPECT_GT(partitions(), before);
}

// 500, as a handler's exception is answered, says not to send it again.
TEST_F(ReceiverTest, WhatFindsNoMemoryMayBeSentAgain) {
  const std::string large(std::size_t{12} << 20, '\1');
  const std::string body = RequestOf(Bytes(2, SmallSpan(1) + TextAttribute(9, "large", large)));
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &limit), 0);
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlimit less = {.rlim_cur = pages * 4096 + (std::size_t{64} << 20),
                       .rlim_max = limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &less), 0);
  http::Response response;
  try {
    response = Post(kProtobufType, body);
  } catch (const std::bad_alloc&) {
    response.status = 500;
  }
  setrlimit(RLIMIT_AS, &limit);
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(Header(response, "Retry-After"), "2");
  EXPECT_EQ(receiver_.counts().unavailable, 1U);
  EXPECT_EQ(Post(kProtobufType, body).status, 200);
  EXPECT_EQ(Count(), "1");
}

TEST_F(ReceiverTest, NeedsTheRightsOfAWriterAndNoMore) {
  database_.Run(
      "DROP ROLE IF EXISTS otlp_test_writer; CREATE ROLE otlp_test_writer LOGIN;"
      " GRANT spanring_writer TO otlp_test_writer");
  const std::string conninfo = database_.conninfo() + " user=otlp_test_writer";
  for (const bool as_writer : {false, true}) {
    Store store({.conninfo = conninfo, .as_writer = as_writer, .version = "test"});
    Receiver receiver(&store, {});
    const std::string body = RequestOf(Bytes(2, SmallSpan(as_writer ? 1 : 2)));
    const http::Response response = PostTo(receiver, kProtobufType, body);
    EXPECT_EQ(response.status, 200) << response.body;
    store.Close();
  }
  EXPECT_EQ(Count(), "2");
  database_.Run("REVOKE INSERT ON trace_batches FROM spanring_writer");
  const http::Response response = Post(kJsonType, std::string(kWholeJson));
  EXPECT_EQ(response.status, 503) << "an operator may mend it, and the sender has the spans yet";
  EXPECT_THAT(response.body, HasSubstr("permission denied"));
  database_.Run("GRANT INSERT ON trace_batches TO spanring_writer; DROP ROLE otlp_test_writer");
}

TEST_F(ReceiverTest, TakesNothingElse) {
  const std::string bomb = Gzipped(std::string(kMostPlainBytes + 1, ' '));
  EXPECT_LT(bomb.size(), 200'000U);
  const std::string good(kWholeJson);
  struct Case {
    int status;
    const char* type;
    std::string body;
    http::Fields headers;
  };
  const Case cases[] = {
      {400, kJsonType, "", {}},
      {400, kJsonType, "{\"resourceSpans\": [", {}},
      {400, kJsonType, Gzipped(good), {}},
      {400, kJsonType, good, {{"content-encoding", "gzip"}}},
      {400, kJsonType, Gzipped(good).substr(0, 50), {{"content-encoding", "gzip"}}},
      {400, kProtobufType, good, {}},
      {413, kJsonType, bomb, {{"content-encoding", "gzip"}}},
      {413, kProtobufType, bomb, {{"content-encoding", "gzip"}}},
      {415, kJsonType, good, {{"content-encoding", "br"}}},
      {415, "text/plain", good, {}},
      {415, "application/x-www-form-urlencoded", good, {}},
      {403, kJsonType, good, {{"origin", "https://evil.example"}}},
      {403, kJsonType, good, {{"origin", "null"}}},
  };
  for (const Case& one : cases) {
    const http::Response response = Post(one.type, one.body, one.headers);
    EXPECT_EQ(response.status, one.status) << one.type << " " << one.body.substr(0, 40);
    EXPECT_EQ(response.content_type,
              one.type == std::string(kProtobufType) ? kProtobufType : kJsonType);
    if (response.content_type == kJsonType) {
      EXPECT_TRUE(json::parse(response.body)["message"].is_string());
    }
  }
  const auto asked = [&](const char* method, const char* path, const char* host) {
    http::Request request;
    request.method = method;
    EXPECT_TRUE(http::ParseTarget(path, &request));
    request.headers = {{"host", host}, {"content-type", kJsonType}};
    request.body = good;
    return receiver_.Answer(request);
  };
  EXPECT_EQ(asked("POST", "/v1/traces", "evil.example").status, 421);
  EXPECT_EQ(asked("POST", "/v1/metrics", "localhost").status, 404);
  EXPECT_EQ(asked("GET", "/v1/traces", "localhost").status, 405);
  EXPECT_EQ(Header(asked("OPTIONS", "/v1/traces", "localhost"), "Allow"), "POST");
  EXPECT_EQ(Count(), "0");
  EXPECT_EQ(receiver_.counts().refused, std::size(cases) + 4);
  EXPECT_EQ(asked("POST", "/v1/traces", "spans.example").status, 200);
  EXPECT_EQ(Post(kJsonType, "{}", {{"origin", "http://localhost:3000"}}).status, 200);
}

TEST_F(ReceiverTest, ATokenIsAskedForWhereThereIsOne) {
  Receiver receiver(&store_, {.token = "0123456789abcdef", .hosts = {}});
  const http::Response none = PostTo(receiver, kJsonType, "{}");
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(Header(none, "WWW-Authenticate"), "Bearer");
  EXPECT_EQ(
      PostTo(receiver, kJsonType, "{}", {{"authorization", "Bearer 0123456789abcdef"}}).status,
      200);
}

// Where packets are dropped each try takes its time: those who wait behind it must not take as
// long.
TEST_F(ReceiverTest, BehindAFailureNothingIsTriedForAMoment) {
  const std::string folder = PQhost(database_.connection());
  if (!folder.starts_with('/')) GTEST_SKIP() << "the server has no socket here";
  test::FaultyProxy proxy(folder + "/.s.PGSQL." + PQport(database_.connection()));
  proxy.SetMode(test::FaultyProxy::Mode::kRefuse);
  Store store({.conninfo = database_.conninfo() + " " + proxy.conninfo(),
               .as_writer = true,
               .version = "test",
               .pause_ms = 2000});
  Receiver receiver(&store, {});
  const std::string body = RequestOf(Bytes(2, SmallSpan(1)));
  EXPECT_EQ(PostTo(receiver, kProtobufType, body).status, 503);
  proxy.SetMode(test::FaultyProxy::Mode::kPass);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(PostTo(receiver, kProtobufType, body).status, 503);
  EXPECT_EQ(proxy.counts().connections, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  EXPECT_EQ(PostTo(receiver, kProtobufType, body).status, 200);
  EXPECT_EQ(Count(), "1");
}

// The upkeep that a traced program does, where there may be none.
TEST_F(ReceiverTest, KeepsTheDatabaseInOrderOnceSpansCome) {
  const auto maintained = [&] {
    return database_.Value("SELECT isfinite(last_started_at) FROM trace_maintenance");
  };
  std::vector<std::string> said;  // By its thread, which has ended then.
  {
    const Upkeep upkeep(
        {.conninfo = database_.conninfo(),
         .as_writer = true,
         .look = std::chrono::milliseconds(20)},
        [&] { return receiver_.counts().spans_stored; },
        [&](const std::string& line) { said.push_back(line); });
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_EQ(maintained(), "f") << "nothing came";
    (void)Post(kProtobufType, RequestOf(Bytes(2, SmallSpan(1))));
    for (int i = 0; i < 500 && maintained() == "f"; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  EXPECT_EQ(maintained(), "t");
  EXPECT_THAT(said, testing::IsEmpty());
}

TEST_F(ReceiverTest, IsCountedForPrometheus) {
  (void)Post(kProtobufType, RequestOf(Bytes(2, SmallSpan(1)) + Bytes(2, "")));
  (void)Post(kJsonType, "no");
  const std::string text = MetricsText(receiver_.counts(), {.requests_refused = 3});
  for (const char* line :
       {"\nspanring_otlp_requests_total 2\n", "\nspanring_otlp_spans_stored_total 1\n",
        "\nspanring_otlp_spans_rejected_total{reason=\"malformed\"} 1\n",
        "\nspanring_otlp_requests_refused_total{reason=\"bad_request\"} 1\n",
        "\nspanring_otlp_requests_refused_total{reason=\"server\"} 3\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace spanring::otlp
