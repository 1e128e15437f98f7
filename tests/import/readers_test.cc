// Each format's way of saying things, as spans.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/reading.h"

namespace spanring::importer {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kJaegerSpans = R"("spans": [
  {"traceID": "0af7651916cd43dd8448eb211c80319c", "spanID": "b7ad6b7169203331",
   "operationName": "GET /", "startTime": 1700000000000001, "duration": 2500, "processID": "p1",
   "references": [],
   "tags": [{"key": "span.kind", "type": "string", "value": "server"},
            {"key": "http.status_code", "type": "int64", "value": "200"},
            {"key": "cached", "type": "bool", "value": true}],
   "logs": [{"timestamp": 1700000000000002,
             "fields": [{"key": "event", "type": "string", "value": "begun"},
                        {"key": "n", "type": "int64", "value": 7}]}]},
  {"traceID": "0af7651916cd43dd8448eb211c80319c", "spanID": "00f067aa0ba902b7",
   "operationName": "SELECT", "startTime": 1700000000000100, "duration": 7, "processID": "p2",
   "references": [
     {"refType": "FOLLOWS_FROM", "traceID": "0af7651916cd43dd8448eb211c80319c", "spanID": "1"},
     {"refType": "CHILD_OF", "traceID": "0af7651916cd43dd8448eb211c80319c",
      "spanID": "b7ad6b7169203331",
      "span": {"traceID": "x", "spanID": "y", "references": [{"span": {"spans": [{}]}}]}}]}
])";
constexpr std::string_view kProcesses = R"("processes": {
  "p1": {"serviceName": "web", "tags": [{"key": "host.name", "type": "string", "value": "h1"}]},
  "p2": {"serviceName": "db", "tags": []}})";

TEST(Jaeger, ProcessesMayComeBeforeOrBehindTheSpans) {
  for (const bool before : {true, false}) {
    const std::string spans(kJaegerSpans);
    const std::string processes(kProcesses);
    const Reading read(Format::kJaeger,
                       absl::StrCat(R"({"data": [{"traceID": "1", )", before ? processes : spans,
                                    ", ", before ? spans : processes, "}]}"));
    EXPECT_THAT(read.refused, IsEmpty());
    EXPECT_THAT(read.failed, IsEmpty());
    ASSERT_EQ(read.spans.size(), 2U);
    const Span& web = read.spans[0];
    EXPECT_EQ(web.service, "web");
    EXPECT_EQ(web.operation, "GET /");
    EXPECT_EQ(web.trace_id.ToHex(), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(web.span_id, TraceId(0, 0xb7ad6b7169203331));
    EXPECT_TRUE(web.parent_id.is_nil());
    EXPECT_EQ(web.start_ns, 1'700'000'000'000'001'000);
    EXPECT_EQ(web.duration_ns, 2'500'000);
    EXPECT_EQ(web.status, "completed");
    EXPECT_EQ(read.Metadata(0), json::parse(R"({
      "span.kind": "server", "http.status_code": 200, "cached": true,
      "events": [{"name": "begun", "time_unix_nano": 1700000000000002000, "attributes": {"n": 7}}],
      "resource": {"host.name": "h1"}})"));
    EXPECT_EQ(read.spans[1].service, "db");
    EXPECT_EQ(read.spans[1].parent_id, TraceId(0, 0xb7ad6b7169203331));
    EXPECT_EQ(read.Metadata(1)["links"][0]["ref_type"], "FOLLOWS_FROM");
  }
}

TEST(Jaeger, AlsoATraceAloneAndAListOfTraces) {
  const std::string trace = absl::StrCat("{\"traceID\": \"1\", ", std::string(kProcesses), ", ",
                                         std::string(kJaegerSpans), "}");
  EXPECT_EQ(Reading(Format::kJaeger, trace).spans.size(), 2U);
  EXPECT_EQ(Reading(Format::kJaeger, absl::StrCat("{\"data\": ", trace, "}")).spans.size(), 2U);
  EXPECT_EQ(Reading(Format::kJaeger, absl::StrCat("[", trace, ", ", trace, "]")).spans.size(), 4U);
  EXPECT_EQ(Reading(Format::kJaeger, absl::StrCat(trace, "\n", trace)).spans.size(), 4U);
  EXPECT_THAT(Reading(Format::kJaeger, R"({"data": null, "errors": [{"code": 404}]})").spans,
              IsEmpty());
}

TEST(Jaeger, ProcessesOfOneTraceAreNotThoseOfTheNext) {
  const Reading read(Format::kJaeger, R"({"data": [
    {"processes": {"p1": {"serviceName": "a"}},
     "spans": [{"traceID": "1", "spanID": "1", "startTime": 1, "processID": "p1"}]},
    {"spans": [{"traceID": "2", "spanID": "2", "startTime": 1, "processID": "p1"}]},
    {"spans": [{"traceID": "3", "spanID": "3", "startTime": 1,
                "process": {"serviceName": "own", "tags": []}}]}]})");
  ASSERT_EQ(read.spans.size(), 3U);
  EXPECT_EQ(read.spans[0].service, "a");
  EXPECT_EQ(read.spans[1].service, "unknown_service");
  EXPECT_EQ(read.spans[2].service, "own");
}

constexpr std::string_view kOtlp = R"({"resourceSpans": [{
  "resource": {"attributes": [
    {"key": "service.name", "value": {"stringValue": "router"}},
    {"key": "job_id", "value": {"stringValue": "job-7"}},
    {"key": "host.name", "value": {"stringValue": "h1"}}]},
  "scopeSpans": [{"scope": {"name": "lib", "version": "2"}, "spans": [{
    "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331",
    "parentSpanId": "", "name": "call", "kind": 3,
    "startTimeUnixNano": "1700000000000000001", "endTimeUnixNano": 1700000000000000012,
    "attributes": [
      {"key": "execution_id", "value": {"intValue": "42"}},
      {"key": "spanring.region", "value": {"stringValue": "eu"}},
      {"key": "a", "value": {"intValue": 5}}, {"key": "b", "value": {"doubleValue": 0.5}},
      {"key": "c", "value": {"boolValue": false}},
      {"key": "d", "value": {"arrayValue": {"values": [{"stringValue": "x"}, {"intValue": "1"}]}}},
      {"key": "e", "value": {"kvlistValue": {"values": [
        {"key": "f", "value": {"stringValue": "g"}}]}}}],
    "events": [{"timeUnixNano": "1700000000000000002", "name": "sent"}],
    "links": [{"traceId": "0af7651916cd43dd8448eb211c80319d", "spanId": "0000000000000009"}],
    "status": {}}]}]}]})";

TEST(Otlp, SpanWithEverything) {
  const Reading read(Format::kOtlp, kOtlp);
  ASSERT_EQ(read.spans.size(), 1U);
  const Span& span = read.spans[0];
  EXPECT_EQ(span.service, "router");
  EXPECT_EQ(span.start_ns, 1'700'000'000'000'000'001);
  EXPECT_EQ(span.duration_ns, 11);
  EXPECT_EQ(span.status, "completed");
  EXPECT_EQ(span.context.execution_id, 42);
  EXPECT_EQ(span.context.job_id, "job-7");
  EXPECT_EQ(span.context.region, "eu");
  EXPECT_EQ(read.Metadata(0), json::parse(R"({
    "a": 5, "b": 0.5, "c": false, "d": ["x", 1], "e": {"f": "g"}, "span.kind": "client",
    "events": [{"name": "sent", "time_unix_nano": 1700000000000000002}],
    "links": [{"trace_id": "0af7651916cd43dd8448eb211c80319d", "span_id": "0000000000000009"}],
    "scope": {"name": "lib", "version": "2"}, "resource": {"host.name": "h1"}})"));
}

TEST(Otlp, ResourceAndScopeMayComeBehindTheSpans) {
  const Reading read(Format::kOtlp, R"({"batches": [{
    "instrumentationLibrarySpans": [
      {"spans": [{"traceId": "1", "spanId": "1", "startTimeUnixNano": 5, "endTimeUnixNano": 6}],
       "instrumentationLibrary": {"name": "one"}},
      {"spans": [{"traceId": "1", "spanId": "2", "startTimeUnixNano": 5, "endTimeUnixNano": 6}]}],
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "late"}}]}},
    {"scopeSpans": [{"spans": [{"traceId": "1", "spanId": "3", "startTimeUnixNano": 5}]}]}]})");
  ASSERT_EQ(read.spans.size(), 3U);
  EXPECT_EQ(read.spans[0].service, "late");
  EXPECT_EQ(read.Metadata(0)["scope"]["name"], "one");
  EXPECT_EQ(read.spans[1].service, "late");
  EXPECT_EQ(read.Metadata(1), json());
  EXPECT_EQ(read.spans[2].service, "unknown_service");
  EXPECT_EQ(read.spans[2].status, "started");
  EXPECT_FALSE(read.spans[2].duration_ns.has_value());
}

TEST(Otlp, IdsInBase64AreThoseInHex) {
  const auto with = [](const char* trace, const char* span) {
    return absl::StrCat(R"({"batches": [{"scopeSpans": [{"spans": [{"traceId": ")", trace,
                        R"(", "spanId": ")", span, R"(", "startTimeUnixNano": 1}]}]}]})");
  };
  const Reading base64(Format::kOtlp, with("O6VWCcPN5JZJzXfR+dzZNg==", "Sc130fnc2TY="));
  const Reading hex(Format::kOtlp, with("3ba55609c3cde49649cd77d1f9dcd936", "49cd77d1f9dcd936"));
  ASSERT_EQ(base64.spans.size(), 1U);
  EXPECT_EQ(base64.spans[0].trace_id, hex.spans.at(0).trace_id);
  EXPECT_EQ(base64.spans[0].span_id, hex.spans.at(0).span_id);
  EXPECT_EQ(base64.spans[0].metadata, "");
}

TEST(Otlp, ObjectsBehindOneAnother) {
  const std::string one(kOtlp);
  EXPECT_EQ(Reading(Format::kOtlp, absl::StrCat(one, "\n", one, "\r\n", one, "\n")).spans.size(),
            3U);
}

TEST(Zipkin, BothSidesOfASharedSpanAreKept) {
  const Reading read(Format::kZipkin, R"([
    {"traceId": "1e223ff1f80f1c69", "parentId": "bf396325699c84bf", "id": "74280ae0c10d8062",
     "kind": "SERVER", "name": "post", "timestamp": 1470150004008761, "duration": 93577,
     "localEndpoint": {"serviceName": "b", "ipv4": "192.0.2.1"}, "shared": true},
    {"traceId": "1e223ff1f80f1c69", "parentId": "bf396325699c84bf", "id": "74280ae0c10d8062",
     "kind": "CLIENT", "name": "post", "timestamp": 1470150004074202,
     "localEndpoint": {"serviceName": "a"}, "tags": {"error": "connection reset", "k": "v"},
     "annotations": [{"timestamp": 1470150004074203, "value": "ws"}]}])");
  ASSERT_EQ(read.spans.size(), 2U);
  EXPECT_EQ(read.spans[0].span_id, read.spans[1].span_id);
  EXPECT_EQ(read.spans[0].service, "b");
  EXPECT_EQ(read.spans[0].duration_ns, 93'577'000);
  EXPECT_EQ(read.Metadata(0)["zipkin.shared"], true);
  EXPECT_EQ(read.Metadata(0)["span.kind"], "server");
  EXPECT_EQ(read.Metadata(0)["resource"]["net.host.ipv4"], "192.0.2.1");
  EXPECT_EQ(read.spans[1].service, "a");
  EXPECT_EQ(read.spans[1].status, "failed");
  EXPECT_EQ(read.spans[1].error_message, "connection reset");
  EXPECT_EQ(read.Metadata(1)["events"][0]["name"], "ws");
}

TEST(Zipkin, ATimeFromItsAnnotationsOrARefusal) {
  const Reading read(Format::kZipkin, R"([
    {"traceId": "1", "id": "2", "annotations": [{"timestamp": 7, "value": "b"},
                                                {"timestamp": 5, "value": "a"}]},
    {"traceId": "1", "id": "3"}])");
  ASSERT_EQ(read.spans.size(), 1U);
  EXPECT_EQ(read.spans[0].start_ns, 5'000);
  EXPECT_EQ(read.spans[0].status, "started");
  EXPECT_THAT(read.refused, ElementsAre("4:5: no timestamp"));
}

TEST(Csv, ColumnsByName) {
  const Reading read(Format::kCsv,
                     "\xef\xbb\xbf"
                     "SpanID,TraceID,ParentID,PodName,OperationName,StartTimeUnixNano,"
                     "EndTimeUnixNano,Duration,zone\r\n"
                     "00000000000000a1,32bc74863e0465fe262bcf1430984bc4,root,front-end-5b9-t2d,"
                     "\"a, \"\"b\"\"\",1661140477951158134,1661140477951158139,0,z1\r\n"
                     "a2,32bc74863e0465fe262bcf1430984bc4,a1,db,sel,1661140477951158134,,3,\r\n"
                     "a3,32bc74863e0465fe262bcf1430984bc4,a1,db,sel,1661140477951158134,,,");
  EXPECT_THAT(read.failed, IsEmpty());
  EXPECT_THAT(read.refused, IsEmpty());
  ASSERT_EQ(read.spans.size(), 3U);
  EXPECT_EQ(read.spans[0].service, "front-end");
  EXPECT_EQ(read.spans[0].operation, "a, \"b\"");
  EXPECT_TRUE(read.spans[0].parent_id.is_nil());
  EXPECT_EQ(read.spans[0].duration_ns, 5);
  EXPECT_EQ(read.Metadata(0),
            json::parse(R"({"zone": "z1", "resource": {"k8s.pod.name": "front-end-5b9-t2d"}})"));
  EXPECT_EQ(read.spans[1].service, "db");
  EXPECT_EQ(read.spans[1].parent_id, TraceId(0, 0xa1));
  EXPECT_EQ(read.spans[1].duration_ns, 3'000);
  EXPECT_EQ(read.spans[2].status, "started");
}

TEST(Readers, DuplicatesAreKept) {
  const std::string span = R"({"traceId": "1", "id": "2", "timestamp": 3, "duration": 4})";
  EXPECT_EQ(Reading(Format::kZipkin, absl::StrCat("[", span, ",", span, "]")).spans.size(), 2U);
}

TEST(Readers, AnIdThatIsNoHexIsHashedAndItsTextKept) {
  const std::string text = R"([{"traceId": "T", "id": "root", "timestamp": 3},
                               {"traceId": "T", "id": "B", "parentId": "root", "timestamp": 3}])";
  const Reading read(Format::kZipkin, text);
  const Reading again(Format::kZipkin, text);
  ASSERT_EQ(read.spans.size(), 2U);
  EXPECT_EQ(read.spans[0].trace_id, read.spans[1].trace_id);
  EXPECT_EQ(read.spans[1].parent_id, read.spans[0].span_id);
  EXPECT_EQ(read.spans[0].span_id.high(), 0U);
  EXPECT_EQ(read.spans[0].span_id, again.spans.at(0).span_id);
  EXPECT_EQ(read.Metadata(0), json::parse(R"({"import.trace_id": "T", "import.span_id": "root"})"));
  EXPECT_EQ(read.spans[1].span_id, TraceId(0, 0xb));
  EXPECT_EQ(read.Metadata(1)["import.span_id"], "B");
}

TEST(Readers, StopWhenTheSinkWantsNoMore) {
  const Reading read(Format::kOtlp, absl::StrCat(std::string(kOtlp), std::string(kOtlp)), 1);
  EXPECT_EQ(read.spans.size(), 1U);
  EXPECT_THAT(read.failed, IsEmpty());
}

// How a span ended, by its OTLP status and attributes.
struct Ending {
  const char* status;  // JSON
  const char* attributes;
  const char* events;
  std::string want;  // status/type/message
};

class Endings : public testing::TestWithParam<Ending> {};

TEST_P(Endings, AreTold) {
  const Ending& ending = GetParam();
  const Reading read(
      Format::kOtlp,
      absl::StrCat(R"({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "1", "spanId": "1",
        "startTimeUnixNano": 1, "endTimeUnixNano": 2, "status": )",
                   ending.status, ", \"attributes\": [", ending.attributes, "], \"events\": [",
                   ending.events, "]}]}]}]}"));
  ASSERT_EQ(read.spans.size(), 1U);
  const Span& span = read.spans[0];
  EXPECT_EQ(absl::StrCat(std::string(span.status), "/", span.error_type, "/", span.error_message),
            ending.want);
}

constexpr char kException[] =
    R"({"name": "exception", "attributes": [
      {"key": "exception.type", "value": {"stringValue": "IOError"}},
      {"key": "exception.message", "value": {"stringValue": "disk gone"}}]})";

INSTANTIATE_TEST_SUITE_P(
    All, Endings,
    testing::Values(
        Ending{"{}", "", "", "completed//"}, Ending{"{\"code\": 1}", "", "", "completed//"},
        Ending{"{\"code\": 2, \"message\": \"no\"}", "", "", "failed//no"},
        Ending{"{\"code\": \"STATUS_CODE_ERROR\"}", "", kException, "failed/IOError/disk gone"},
        Ending{"{}", "", kException, "completed//"},
        Ending{"{}", R"({"key": "error", "value": {"boolValue": true}})", "", "failed//"},
        Ending{"{}", R"({"key": "error", "value": {"stringValue": "true"}})", "", "failed//"},
        Ending{"{}", R"({"key": "error", "value": {"boolValue": false}})", "", "completed//"},
        Ending{"{}", R"({"key": "otel.status_code", "value": {"stringValue": "ERROR"}},
                        {"key": "otel.status_description", "value": {"stringValue": "bad"}},
                        {"key": "error.type", "value": {"stringValue": "E1"}})",
               "", "failed/E1/bad"},
        Ending{"{}", R"({"key": "error.type", "value": {"stringValue": "timeout"}})", "",
               "timeout/timeout/"},
        Ending{"{\"code\": 2}",
               R"({"key": "error.type",
                   "value": {"stringValue": "java.net.SocketTimeoutException"}})",
               "", "timeout/java.net.SocketTimeoutException/"},
        Ending{"{\"code\": 2, \"message\": \"after the timeout of 5 s\"}", "", "",
               "failed//after the timeout of 5 s"},
        Ending{"{\"code\": 2, \"message\": \"DEADLINE_EXCEEDED\"}", "", "",
               "timeout//DEADLINE_EXCEEDED"},
        Ending{"{\"code\": 2}", R"({"key": "rpc.grpc.status_code", "value": {"intValue": "4"}})",
               "", "timeout//"},
        Ending{"{\"code\": 2}", R"({"key": "rpc.grpc.status_code", "value": {"intValue": "14"}})",
               "", "failed//"}));

TEST(Detection, ByTheFirstTellingName) {
  const auto detected = [](std::string_view text) -> std::string {
    const auto format = Detect(Input::OfMemory(text).get());
    return format.ok() ? std::string(NameOf(*format)) : "none";
  };
  EXPECT_EQ(detected(kOtlp), "otlp");
  EXPECT_EQ(detected(R"({"batches": []})"), "otlp");
  EXPECT_EQ(detected(R"({"result": {"resourceSpans": []}})"), "otlp");
  EXPECT_EQ(detected(R"({"total": 0, "limit": 0, "data": []})"), "jaeger");
  EXPECT_EQ(detected(R"({"traceID": "1", "spans": []})"), "jaeger");
  EXPECT_EQ(detected(" \n[{\"traceId\": \"1\"}]"), "zipkin");
  EXPECT_EQ(detected("[[{\"id\": \"1\", \"traceId\": \"1\"}]]"), "zipkin");
  EXPECT_EQ(detected("[]"), "zipkin");
  EXPECT_EQ(detected("\xef\xbb\xbf{\"data\": []}"), "jaeger");
  EXPECT_EQ(detected("Trace_ID,b\n1,2\n"), "csv");
  EXPECT_EQ(detected(Gzipped(kOtlp)), "otlp");
  for (const char* none : {"", "  \n", "{}", "[{\"trace_id\": 1}]", "hello", "{\"a\": ", "1"}) {
    EXPECT_EQ(detected(none), "none") << none;
  }
}

}  // namespace
}  // namespace spanring::importer
