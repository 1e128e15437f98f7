#include "serve/parameters.h"

#include <algorithm>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace spanring::serve {

pg::Parameter Parameters::Text(std::string_view name) {
  known_.emplace_back(name);
  std::optional<std::string> value = request_.Query(name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

pg::Parameter Parameters::OptionalNumber(std::string_view name, std::int64_t least,
                                         std::int64_t most) {
  const pg::Parameter text = Text(name);
  if (!text) return std::nullopt;
  std::int64_t number = 0;
  if (!absl::SimpleAtoi(*text, &number) || number < least || number > most) {
    first_.Update(absl::InvalidArgumentError(
        absl::StrCat(std::string(name), " is a whole number from ", least, " to ", most)));
    return std::nullopt;
  }
  return absl::StrCat(number);
}

std::int64_t Parameters::Number(std::string_view name, std::int64_t otherwise, std::int64_t least,
                                std::int64_t most) {
  std::int64_t number = otherwise;
  const pg::Parameter text = OptionalNumber(name, least, most);
  return text && absl::SimpleAtoi(*text, &number) ? number : otherwise;
}

pg::Parameter Parameters::Bool(std::string_view name) {
  const pg::Parameter text = Text(name);
  if (text && *text != "true" && *text != "false") {
    first_.Update(absl::InvalidArgumentError(absl::StrCat(std::string(name), " is true or false")));
  }
  return text && *text == "true" ? "true" : "false";
}

absl::Status Parameters::status() const {
  if (!first_.ok()) return first_;
  for (const auto& [name, value] : request_.query) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      return absl::InvalidArgumentError(
          known_.empty()
              ? absl::StrCat("no parameter ", name, ": there are none here")
              : absl::StrCat("no parameter ", name, ": there are ", absl::StrJoin(known_, ", ")));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> ExecutionId(std::string_view text) {
  std::int64_t id = 0;
  if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &id)) {
    return absl::InvalidArgumentError("an execution id is a whole number of 64 bits");
  }
  return id;
}

}  // namespace spanring::serve
