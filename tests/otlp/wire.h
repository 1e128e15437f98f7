// Writes protobuf's wire form, by hand, as the reader that is tested here must not.
// Threads: values. Memory: owned strings. Errors: none.
// Design: docs/web.md#spans-of-others
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace spanring::otlp {

inline std::string Varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  out.push_back(static_cast<char>(value));
  return out;
}
inline std::string Number(std::uint32_t field, std::uint64_t value) {
  return Varint(std::uint64_t{field} << 3) + Varint(value);
}
inline std::string Bytes(std::uint32_t field, std::string_view bytes) {
  std::string out = Varint(std::uint64_t{field} << 3 | 2);
  return out.append(Varint(bytes.size())).append(bytes);
}
inline std::string Fixed64(std::uint32_t field, std::uint64_t value) {
  std::string out = Varint(std::uint64_t{field} << 3 | 1);
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}
inline std::string Fixed32(std::uint32_t field, std::uint32_t value) {
  std::string out = Varint(std::uint64_t{field} << 3 | 5);
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}
inline std::string Double(std::uint32_t field, double value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return Fixed64(field, bits);
}
inline std::string FromHex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}
// `value`: of an AnyValue.
inline std::string KeyValue(std::uint32_t field, std::string_view key, std::string_view value) {
  return Bytes(field, Bytes(1, key) + Bytes(2, value));
}
inline std::string TextAttribute(std::uint32_t field, std::string_view key, std::string_view text) {
  return KeyValue(field, key, Bytes(1, text));
}

// One span with everything, in a resource and a scope, and the same as JSON.
inline std::string WholeRequest() {
  const std::string span =
      Bytes(1, FromHex("0af7651916cd43dd8448eb211c80319c")) +
      Bytes(2, FromHex("b7ad6b7169203331")) + Bytes(3, "k=v") +
      Bytes(4, FromHex("00f067aa0ba902b7")) + Bytes(5, "call") + Number(6, 3) +
      Fixed64(7, 1700000000000000001) + Fixed64(8, 1700000000000000012) +
      KeyValue(9, "execution_id", Number(3, 42)) + TextAttribute(9, "spanring.region", "eu") +
      KeyValue(9, "a", Number(3, static_cast<std::uint64_t>(-5))) +
      KeyValue(9, "b", Double(4, 0.5)) + KeyValue(9, "c", Number(2, 0)) +
      KeyValue(9, "d", Bytes(5, Bytes(1, Bytes(1, "x")) + Bytes(1, Number(3, 1)))) +
      KeyValue(9, "e", Bytes(6, TextAttribute(1, "f", "g"))) +
      KeyValue(9, "h", Bytes(7, "\x01\x02")) + KeyValue(9, "i", "") + Number(10, 7) +
      Bytes(11, Fixed64(1, 1700000000000000002) + Bytes(2, "exception") +
                    TextAttribute(3, "exception.type", "IOError") + Number(4, 1)) +
      Number(12, 1) +
      Bytes(13, Bytes(1, FromHex("0af7651916cd43dd8448eb211c80319d")) +
                    Bytes(2, FromHex("0000000000000009")) + TextAttribute(4, "why", "batch")) +
      Bytes(15, Bytes(2, "it broke") + Number(3, 2)) + Fixed32(16, 257);
  const std::string resource = TextAttribute(1, "service.name", "router") +
                               TextAttribute(1, "job_id", "job-7") +
                               TextAttribute(1, "host.name", "h1") + Number(2, 1);
  const std::string scope = Bytes(1, "lib") + Bytes(2, "2") + TextAttribute(3, "x", "y");
  return Bytes(1, Bytes(1, resource) +
                      Bytes(2, Bytes(1, scope) + Bytes(2, span) + Bytes(3, "url")) +
                      Bytes(3, "url"));
}
inline constexpr std::string_view kWholeJson = R"({"resourceSpans": [{
  "resource": {"attributes": [
    {"key": "service.name", "value": {"stringValue": "router"}},
    {"key": "job_id", "value": {"stringValue": "job-7"}},
    {"key": "host.name", "value": {"stringValue": "h1"}}]},
  "scopeSpans": [{"scope": {"name": "lib", "version": "2", "attributes": [
      {"key": "x", "value": {"stringValue": "y"}}]},
    "spans": [{
    "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331",
    "traceState": "k=v", "parentSpanId": "00f067aa0ba902b7", "name": "call", "kind": 3,
    "startTimeUnixNano": "1700000000000000001", "endTimeUnixNano": 1700000000000000012,
    "attributes": [
      {"key": "execution_id", "value": {"intValue": "42"}},
      {"key": "spanring.region", "value": {"stringValue": "eu"}},
      {"key": "a", "value": {"intValue": -5}}, {"key": "b", "value": {"doubleValue": 0.5}},
      {"key": "c", "value": {"boolValue": false}},
      {"key": "d", "value": {"arrayValue": {"values": [{"stringValue": "x"}, {"intValue": "1"}]}}},
      {"key": "e", "value": {"kvlistValue": {"values": [
        {"key": "f", "value": {"stringValue": "g"}}]}}},
      {"key": "h", "value": {"bytesValue": "AQI="}}, {"key": "i", "value": {}}],
    "events": [{"timeUnixNano": "1700000000000000002", "name": "exception", "attributes": [
      {"key": "exception.type", "value": {"stringValue": "IOError"}}]}],
    "links": [{"traceId": "0af7651916cd43dd8448eb211c80319d", "spanId": "0000000000000009",
      "attributes": [{"key": "why", "value": {"stringValue": "batch"}}]}],
    "status": {"message": "it broke", "code": 2}}]}]}]})";

// The smallest span that is one.
inline std::string SmallSpan(std::uint64_t id, std::string_view name = "small") {
  std::string span_id;
  for (int i = 7; i >= 0; --i) span_id.push_back(static_cast<char>(id >> (8 * i)));
  return Bytes(1, FromHex("0af7651916cd43dd8448eb211c80319c")) + Bytes(2, span_id) +
         Bytes(5, name) + Fixed64(7, 1700000000000000000) + Fixed64(8, 1700000000000001000);
}
inline std::string RequestOf(std::string_view spans) {
  return Bytes(1, Bytes(1, TextAttribute(1, "service.name", "s")) + Bytes(2, spans));
}

}  // namespace spanring::otlp
