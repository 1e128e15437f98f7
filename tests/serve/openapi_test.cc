// docs/openapi.json beside the server: each path answers as it says, and takes the parameters that
// it names and no others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "serve/service.h"
#include "serve_database.h"

namespace spanring::serve {
namespace {

using nlohmann::json;

json Document() {
  std::ifstream file(OPENAPI_FILE);
  return json::parse(file);
}

// As much of JSON Schema as the document uses; what it finds is told by its place.
class Checker {
 public:
  explicit Checker(const json& document) : document_(document) {}

  void Check(const json& value, json schema, const std::string& place) {
    if (schema.contains("$ref")) {
      const std::string name = schema["$ref"].get<std::string>().substr(1);
      schema = document_.at(json::json_pointer(name));
    }
    if (schema.contains("anyOf")) {
      if (!value.is_null()) Check(value, schema["anyOf"][0], place);
      return;
    }
    if (schema.contains("type") && !IsOfType(value, schema["type"])) {
      ADD_FAILURE() << place << " is " << value.dump() << ", not " << schema["type"].dump();
    }
    if (value.is_array() && schema.contains("items")) {
      for (const json& item : value) Check(item, schema["items"], place + "[]");
    }
    if (!value.is_object() || !schema.contains("properties")) return;
    const json& properties = schema["properties"];
    for (const auto& [key, member] : value.items()) {
      ++checked_;
      if (properties.contains(key)) {
        Check(member, properties[key], absl::StrCat(place, ".", key));
      } else {
        ADD_FAILURE() << place << "." << key << " is not in the document";
      }
    }
    for (const json& key : schema["required"]) {
      EXPECT_TRUE(value.contains(key)) << place << " has no " << key;
    }
  }

  int checked() const { return checked_; }

 private:
  static bool IsOfType(const json& value, const json& type) {
    if (type.is_array()) {
      return std::any_of(type.begin(), type.end(),
                         [&](const json& one) { return IsOfType(value, one); });
    }
    return (type == "null" && value.is_null()) || (type == "string" && value.is_string()) ||
           (type == "integer" && value.is_number_integer()) ||
           (type == "number" && value.is_number()) || (type == "boolean" && value.is_boolean()) ||
           (type == "array" && value.is_array()) || (type == "object" && value.is_object());
  }

  const json& document_;
  int checked_ = 0;
};

class OpenApi : public ServeTest {};

TEST_F(OpenApi, EveryPathAnswersAsItSays) {
  const json document = Document();
  Checker checker(document);
  ASSERT_EQ(document["paths"].size(), 11U);
  for (const auto& [path, operations] : document["paths"].items()) {
    std::string target =
        absl::StrReplaceAll(path, {{"{id}", "20"},
                                   {"{other}", "40"},
                                   {"{trace_id}", "00000000-0000-7000-8000-000000000020"}});
    std::vector<std::string> query;
    for (const json& parameter : operations["get"].value("parameters", json::array())) {
      if (parameter["in"] == "query" && parameter.contains("example")) {
        query.push_back(absl::StrCat(parameter["name"].get<std::string>(), "=",
                                     parameter["example"].get<std::string>()));
      }
    }
    if (!query.empty()) absl::StrAppend(&target, "?", absl::StrJoin(query, "&"));
    const http::Response response = Get(target);
    ASSERT_EQ(response.status, 200) << target << " " << response.body;
    const json& said = operations["get"]["responses"]["200"]["content"]["application/json"];
    checker.Check(json::parse(response.body), said["schema"], path);
  }
  EXPECT_GT(checker.checked(), 300) << "the answers hold rows";
}

TEST_F(OpenApi, EveryParameterIsThereAndNoOther) {
  const json document = Document();
  for (const auto& [path, operations] : document["paths"].items()) {
    const std::string target =
        absl::StrReplaceAll(path, {{"{id}", "20"},
                                   {"{other}", "40"},
                                   {"{trace_id}", "00000000-0000-7000-8000-000000000020"}});
    std::set<std::string> named;
    for (const json& parameter : operations["get"].value("parameters", json::array())) {
      if (parameter["in"] == "query") named.insert(parameter["name"].get<std::string>());
    }
    const http::Response response = Get(target + "?nonsense=1");
    ASSERT_EQ(response.status, 400) << target;
    // "no parameter nonsense: there are limit, status"
    const std::string message = json::parse(response.body)["error"]["message"];
    std::string known = message.substr(message.find("there are ") + 10);
    if (known == "none here") known.clear();
    EXPECT_EQ(known.empty() ? std::set<std::string>()
                            : std::set<std::string>(absl::StrSplit(known, ", ")),
              named)
        << path;
  }
}

TEST_F(OpenApi, FailuresAreAsItSays) {
  const json document = Document();
  Checker checker(document);
  for (const char* target : {"/api/v1/executions/77", "/api/v1/executions/x"}) {
    checker.Check(json::parse(Get(target).body), document["components"]["schemas"]["Error"],
                  target);
  }
}

}  // namespace
}  // namespace spanring::serve
