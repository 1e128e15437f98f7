// OTLP's protobuf: opentelemetry/proto/trace/v1/trace.proto and collector/trace/v1, version 1, by
// the numbers of their fields. Each resource, scope and span is made what its JSON would be, and
// goes on from there as that does. The wire form is
// https://protobuf.dev/programming-guides/encoding/.
//
// Not by a generated parser, which makes objects of a whole request before anybody can count them:
// docs/decisions/0011-the-wire-by-a-table.md
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "import/otlp_spans.h"
#include "import/readers.h"

namespace spanring::importer {
namespace {

// --- What is known of the messages ---

enum class Type {
  kText,
  kTraceId,
  kSpanId,
  kBytes,
  kBool,
  kInteger,
  kFixed64,
  kDouble,
  kMessage,
  kMessages  // any number of them
};
enum class Message {
  kNone,
  kResource,
  kScope,
  kSpan,
  kEvent,
  kLink,
  kStatus,
  kKeyValue,
  kAnyValue,
  kArrayValue,
  kKeyValueList
};
struct Field {
  std::uint32_t number;
  const char* name;  // in JSON
  Type type;
  Message message = Message::kNone;
};

constexpr std::array kResource = {Field{1, "attributes", Type::kMessages, Message::kKeyValue}};
constexpr std::array kScope = {Field{1, "name", Type::kText}, Field{2, "version", Type::kText},
                               Field{3, "attributes", Type::kMessages, Message::kKeyValue}};
constexpr std::array kSpan = {Field{1, "traceId", Type::kTraceId},
                              Field{2, "spanId", Type::kSpanId},
                              Field{3, "traceState", Type::kText},
                              Field{4, "parentSpanId", Type::kSpanId},
                              Field{5, "name", Type::kText},
                              Field{6, "kind", Type::kInteger},
                              Field{7, "startTimeUnixNano", Type::kFixed64},
                              Field{8, "endTimeUnixNano", Type::kFixed64},
                              Field{9, "attributes", Type::kMessages, Message::kKeyValue},
                              Field{11, "events", Type::kMessages, Message::kEvent},
                              Field{13, "links", Type::kMessages, Message::kLink},
                              Field{15, "status", Type::kMessage, Message::kStatus}};
constexpr std::array kEvent = {Field{1, "timeUnixNano", Type::kFixed64},
                               Field{2, "name", Type::kText},
                               Field{3, "attributes", Type::kMessages, Message::kKeyValue}};
constexpr std::array kLink = {Field{1, "traceId", Type::kTraceId},
                              Field{2, "spanId", Type::kSpanId},
                              Field{4, "attributes", Type::kMessages, Message::kKeyValue}};
constexpr std::array kStatus = {Field{2, "message", Type::kText}, Field{3, "code", Type::kInteger}};
constexpr std::array kKeyValue = {Field{1, "key", Type::kText},
                                  Field{2, "value", Type::kMessage, Message::kAnyValue}};
constexpr std::array kAnyValue = {Field{1, "stringValue", Type::kText},
                                  Field{2, "boolValue", Type::kBool},
                                  Field{3, "intValue", Type::kInteger},
                                  Field{4, "doubleValue", Type::kDouble},
                                  Field{5, "arrayValue", Type::kMessage, Message::kArrayValue},
                                  Field{6, "kvlistValue", Type::kMessage, Message::kKeyValueList},
                                  Field{7, "bytesValue", Type::kBytes}};
constexpr std::array kArrayValue = {Field{1, "values", Type::kMessages, Message::kAnyValue}};
constexpr std::array kKeyValueList = {Field{1, "values", Type::kMessages, Message::kKeyValue}};

std::span<const Field> FieldsOf(Message message) {
  switch (message) {
    case Message::kNone:
      return {};
    case Message::kResource:
      return kResource;
    case Message::kScope:
      return kScope;
    case Message::kSpan:
      return kSpan;
    case Message::kEvent:
      return kEvent;
    case Message::kLink:
      return kLink;
    case Message::kStatus:
      return kStatus;
    case Message::kKeyValue:
      return kKeyValue;
    case Message::kAnyValue:
      return kAnyValue;
    case Message::kArrayValue:
      return kArrayValue;
    case Message::kKeyValueList:
      return kKeyValueList;
  }
  return {};
}

// --- The wire ---

enum Wire : std::uint32_t { kVarint = 0, kFixed64Wire = 1, kLength = 2, kFixed32Wire = 5 };

struct Item {
  std::uint32_t number = 0;
  std::uint32_t wire = kVarint;
  std::uint64_t value = 0;  // of a varint or a fixed number
  std::string_view bytes;   // of what has a length
};

std::optional<std::uint64_t> TakeVarint(std::string_view* rest) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 10 && i < rest->size(); ++i) {
    const auto byte = static_cast<std::uint8_t>((*rest)[i]);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) != 0) continue;
    rest->remove_prefix(i + 1);
    return value;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> TakeFixed(std::string_view* rest, std::size_t size) {
  if (rest->size() < size) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>((*rest)[i]);
  rest->remove_prefix(size);
  return value;
}

// nullopt: what stands there is no field; so is a group, which proto3 has not.
std::optional<Item> TakeField(std::string_view* rest) {
  const auto tag = TakeVarint(rest);
  if (!tag || *tag >> 3 == 0 || *tag > UINT32_MAX) return std::nullopt;
  Item item;
  item.number = static_cast<std::uint32_t>(*tag >> 3);
  item.wire = static_cast<std::uint32_t>(*tag & 7);
  std::optional<std::uint64_t> value;
  if (item.wire == kFixed64Wire || item.wire == kFixed32Wire) {
    value = TakeFixed(rest, item.wire == kFixed64Wire ? 8 : 4);
  } else if (item.wire == kVarint || item.wire == kLength) {
    value = TakeVarint(rest);
  }
  if (!value) return std::nullopt;
  item.value = *value;
  if (item.wire != kLength) return item;
  if (*value > rest->size()) return std::nullopt;
  item.bytes = rest->substr(0, static_cast<std::size_t>(*value));
  rest->remove_prefix(item.bytes.size());
  return item;
}

Wire WireOf(Type type) {
  switch (type) {
    case Type::kBool:
    case Type::kInteger:
      return kVarint;
    case Type::kFixed64:
    case Type::kDouble:
      return kFixed64Wire;
    default:
      return kLength;
  }
}

// As JSON has those that it cannot write.
Json DoubleOf(std::uint64_t bits) {
  double number = 0;
  std::memcpy(&number, &bits, sizeof(number));
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return number;
}

std::string Base64(std::string_view bytes) {
  return absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()));
}

std::string Hex(std::string_view bytes) {
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

// One message as JSON.
class Converter {
 public:
  enum class Result { kOk, kRefused, kMalformed };

  Result Convert(std::string_view bytes, Message message, Json* json) {
    nodes_ = 0;
    reason_.clear();
    *json = Json::object();
    if (bytes.size() > JsonWalker::kMostBytes) return Refuse("longer than 16 MiB");
    return Fill(bytes, message, 1, json);
  }
  const std::string& reason() const { return reason_; }

 private:
  Result Refuse(std::string reason) {
    reason_ = std::move(reason);
    return Result::kRefused;
  }

  // `depth`: of objects and lists, this one with them, as the walker of JSON counts.
  Result Fill(std::string_view bytes, Message message, std::size_t depth, Json* json) {
    const std::span<const Field> fields = FieldsOf(message);
    while (!bytes.empty()) {
      const auto item = TakeField(&bytes);
      if (!item) return Result::kMalformed;
      for (const Field& field : fields) {
        // Of another wire type it is not the field that we know: protobuf passes over it, too.
        if (field.number != item->number || WireOf(field.type) != item->wire) continue;
        if (depth >= JsonWalker::kMostDepth) return Refuse("nested too deeply");
        if (++nodes_ > JsonWalker::kMostNodes) return Refuse("has too many parts");
        // It has one of its fields: the last.
        if (message == Message::kAnyValue && !json->contains(field.name)) json->clear();
        const Result result = Set(field, *item, depth, json);
        if (result != Result::kOk) return result;
        break;
      }
    }
    return Result::kOk;
  }

  Result Set(const Field& field, const Item& item, std::size_t depth, Json* json) {
    switch (field.type) {
      case Type::kMessage: {
        // One that comes again is merged.
        Json& value = (*json)[field.name];
        if (value.is_null()) value = Json::object();
        return Fill(item.bytes, field.message, depth + 1, &value);
      }
      case Type::kMessages: {
        if (depth + 1 >= JsonWalker::kMostDepth) return Refuse("nested too deeply");
        Json& list = (*json)[field.name];
        list.push_back(Json::object());
        return Fill(item.bytes, field.message, depth + 2, &list.back());
      }
      case Type::kTraceId:
        return SetId(field, item.bytes, 16, json);
      case Type::kSpanId:
        return SetId(field, item.bytes, 8, json);
      case Type::kText:
        (*json)[field.name] = base::Sanitized(item.bytes);
        break;
      case Type::kBytes:
        (*json)[field.name] = Base64(item.bytes);
        break;
      case Type::kBool:
        (*json)[field.name] = item.value != 0;
        break;
      case Type::kInteger:
        (*json)[field.name] = static_cast<std::int64_t>(item.value);
        break;
      case Type::kFixed64:
        (*json)[field.name] = item.value;
        break;
      case Type::kDouble:
        (*json)[field.name] = DoubleOf(item.value);
        break;
    }
    return Result::kOk;
  }

  Result SetId(const Field& field, std::string_view bytes, std::size_t size, Json* json) {
    if (!bytes.empty() && bytes.size() != size) {
      return Refuse(absl::StrCat(field.name, " has ", bytes.size(), " bytes, not ", size));
    }
    (*json)[field.name] = Hex(bytes);
    return Result::kOk;
  }

  std::size_t nodes_ = 0;
  std::string reason_;
};

// --- The request ---

class ProtobufReader {
 public:
  ProtobufReader(std::string_view body, Sink* sink) : body_(body), sink_(*sink), spans_(sink) {}

  void Read() {
    std::string_view rest = body_;
    while (!rest.empty()) {
      const auto item = Next(&rest);
      if (!item) return;
      if (item->number != 1 || item->wire != kLength) continue;
      spans_.BeginResource();
      if (!ReadResourceSpans(item->bytes) || !spans_.EndResource()) return;
    }
  }

 private:
  // ResourceSpans: False, here and below: read no further.
  bool ReadResourceSpans(std::string_view rest) {
    while (!rest.empty()) {
      const auto item = Next(&rest);
      if (!item) return false;
      if (item->wire != kLength) continue;
      if (item->number == 1) {
        const auto resource = Convert(item->bytes, Message::kResource);
        if (!resource) return false;
        spans_.SetResource(*resource);
      } else if (item->number == 2) {
        spans_.BeginScope();
        if (!ReadScopeSpans(item->bytes) || !spans_.EndScope()) return false;
      }
    }
    return true;
  }

  bool ReadScopeSpans(std::string_view rest) {
    while (!rest.empty()) {
      const auto item = Next(&rest);
      if (!item) return false;
      if (item->wire != kLength) continue;
      if (item->number == 1) {
        const auto scope = Convert(item->bytes, Message::kScope);
        if (!scope) return false;
        spans_.SetScope(*scope);
      } else if (item->number == 2) {
        const auto span = Convert(item->bytes, Message::kSpan);
        if (!span) return false;
        if (!span->is_null() && !spans_.Add(*span, PositionOf(item->bytes))) return false;
      }
    }
    return true;
  }

  // Null where it is refused alone.
  std::optional<Json> Convert(std::string_view bytes, Message message) {
    Json json;
    switch (converter_.Convert(bytes, message, &json)) {
      case Converter::Result::kOk:
        return json;
      case Converter::Result::kRefused:
        sink_.Refuse(PositionOf(bytes), converter_.reason());
        return Json();
      case Converter::Result::kMalformed:
        break;
    }
    sink_.Fail(PositionOf(bytes), "no protobuf message");
    return std::nullopt;
  }

  std::optional<Item> Next(std::string_view* rest) {
    const Position position = PositionOf(*rest);
    auto item = TakeField(rest);
    if (!item) sink_.Fail(position, "no protobuf message");
    return item;
  }

  Position PositionOf(std::string_view part) const {
    return {1, static_cast<std::uint64_t>(part.data() - body_.data()) + 1};
  }

  const std::string_view body_;
  Sink& sink_;
  OtlpSpans spans_;
  Converter converter_;
};

}  // namespace

void ReadOtlpProtobuf(std::string_view body, Sink* sink) { ProtobufReader(body, sink).Read(); }

}  // namespace spanring::importer
