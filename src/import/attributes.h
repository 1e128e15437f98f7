// What attributes say beyond themselves: execution context, kind, and how a span ended.
// Threads: any. Memory: what is handed over.
// Errors: none; what cannot be read stays an attribute.
// Design: docs/operations.md#import
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "import/ids.h"
#include "import/json_walker.h"
#include "import/span.h"

namespace spanring::importer {

// The member of that name, or nullptr.
const Json* Member(const Json& object, const char* name);
// The member if it is a string, else "".
std::string_view TextMember(const Json& object, const char* name);
// A scalar as text: "GET", "200", "true".
std::string TextOf(const Json& value);
// A number, or a string that is one. None: it is neither, or does not fit. A fraction is cut.
std::optional<std::int64_t> IntegerOf(const Json& value);
// As names are stored: at most 255 bytes.
std::string NameText(std::string_view text);
std::string JsonText(const Json& value);

// A span that is being read: what the formats have in common.
struct Draft {
  Span span;
  Json attributes = Json::object();
  Json events = Json::array();  // {"name", "time_unix_nano", "attributes"}
  Json links = Json::array();   // {"trace_id", "span_id", ...}
  bool failed = false;
  std::string message;  // Of the status, if it has one.
  std::string refusal;  // Why it cannot be kept; "" while it can.

  void SetIds(std::string_view trace, std::string_view span_id, std::string_view parent,
              bool base64 = false);
  // "CLIENT", "SPAN_KIND_CLIENT", "client": "span.kind" of the metadata.
  void SetKind(std::string_view kind);
  // A time in units of `unit_ns` as a start, and a length; `what` names it in a refusal.
  void SetStart(const Json* value, std::int64_t unit_ns, std::string_view what);
  void SetDuration(const Json* value, std::int64_t unit_ns, std::string_view what);
  void SetEnd(std::int64_t end_ns);

  // Fills what follows from the rest. Afterwards the span is whole, its service and its resource
  // aside.
  void Finish();

 private:
  // What spanring export wrote, where nothing has to be guessed: see trace_export_attributes.
  // False: it did not.
  bool TakeExported();
  void FinishMetadata();
  std::string FromAttributesOrEvents(const Json& own, std::initializer_list<const char*> names,
                                     bool events_too) const;
};

// Of a span or a resource; what was taken is removed from `attributes`.
ExecutionContext TakeContext(Json* attributes);

// A service, and the attributes of all its spans, ready to be added to each.
struct Resource {
  std::string service;
  ExecutionContext context;
  std::string attributes;  // The text of a JSON object, or "".

  // `service` "": "service.name" among the attributes.
  static Resource From(std::string_view service, Json attributes);
  void ApplyTo(Span* span) const;
};

}  // namespace spanring::importer
