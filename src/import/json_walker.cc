#include "import/json_walker.h"

#include <cctype>
#include <istream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/utf8.h"

namespace spanring::importer {
namespace {

// A token, and what the lexer keeps of it beside.
constexpr std::uint64_t kMostTokenBytes = 2 * JsonWalker::kMostBytes;
constexpr std::size_t kMostReasonBytes = 200;

// jsonb takes no NUL.
void ReplaceNul(std::string* text) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  for (std::size_t at = 0; (at = text->find('\0', at)) != std::string::npos;) {
    text->replace(at, 1, kReplacement);
    at += kReplacement.size();
  }
}

// "[json.exception...] parse error at line 1, column 5: syntax error ...": we know the place
// better.
std::string ReasonOf(const char* what) {
  std::string_view text = what;
  if (const auto column = text.find("column "); column != std::string_view::npos) {
    if (const auto colon = text.find(": ", column); colon != std::string_view::npos) {
      text.remove_prefix(colon + 2);
    }
  } else if (const auto bracket = text.find("] "); bracket != std::string_view::npos) {
    text.remove_prefix(bracket + 2);
  }
  return base::Sanitized(base::Truncate(text, kMostReasonBytes));
}

}  // namespace

// nlohmann's SAX interface.
class JsonWalker::Events {
 public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  Events(JsonWalker* walker, Input* input) : walker_(*walker), input_(*input) {}

  bool null() { return Scalar(Json()); }
  bool boolean(bool value) { return Scalar(Json(value)); }
  bool number_integer(number_integer_t value) { return Scalar(Json(value)); }
  bool number_unsigned(number_unsigned_t value) { return Scalar(Json(value)); }
  bool number_float(number_float_t value, const string_t&) { return Scalar(Json(value)); }
  bool string(string_t& value) {
    if (skip_ == 0) ReplaceNul(&value);
    return Scalar(skip_ == 0 ? Json(std::move(value)) : Json());
  }
  bool binary(binary_t&) { return false; }
  bool start_object(std::size_t) { return Start(/*is_array=*/false); }
  bool start_array(std::size_t) { return Start(/*is_array=*/true); }
  bool end_object() { return End(); }
  bool end_array() { return End(); }
  bool key(string_t& name) {
    Alive();
    if (skip_ > 0) return true;
    ReplaceNul(&name);
    (open_.empty() ? levels_.back().key : key_) = std::move(name);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    if (input_.fault().ok()) walker_.sink().Fail(input_.LastRead(), ReasonOf(error.what()));
    return false;
  }

 private:
  struct Level {
    int role;
    std::string key;  // Of the member that comes.
  };

  void Alive() { input_.AllowBytes(kMostTokenBytes); }
  bool LeftOut() const { return open_.back()->is_object() && walker_.LeavesOut(key_); }
  int Parent() const { return levels_.empty() ? kDocument : levels_.back().role; }
  std::string_view Key() const {
    return levels_.empty() ? "" : std::string_view(levels_.back().key);
  }

  Json* Add(Json&& value) {
    Json& into = *open_.back();
    if (into.is_array()) return &into.emplace_back(std::move(value));
    return &(into[std::move(key_)] = std::move(value));
  }

  // Why the whole value cannot be kept, or nullptr.
  const char* TooMuch() const {
    if (open_.size() >= kMostDepth) return "nested too deeply";
    if (nodes_ >= kMostNodes) return "has too many parts";
    if (input_.offset() - begin_ > kMostBytes) return "longer than 16 MiB";
    return nullptr;
  }
  // The rest of it is passed over. `opening`: by an object or array that has just begun in it.
  void GiveUp(const char* reason, bool opening) {
    walker_.sink().Refuse(position_, reason);
    skip_ = open_.size() + (opening ? 1 : 0);
    open_.clear();
    value_ = Json();
  }

  bool Scalar(Json&& value) {
    Alive();
    if (skip_ > 0) return true;
    if (open_.empty()) {
      return walker_.OnScalar(Parent(), Key(), std::move(value), input_.LastRead());
    }
    if (LeftOut()) return true;
    ++nodes_;
    if (const char* reason = TooMuch()) {
      GiveUp(reason, /*opening=*/false);
    } else {
      Add(std::move(value));
    }
    return true;
  }

  bool Start(bool is_array) {
    Alive();
    if (skip_ > 0) {
      ++skip_;
      return true;
    }
    if (!open_.empty()) {
      if (LeftOut()) {
        skip_ = 1;
        left_out_from_ = input_.offset();
        return true;
      }
      ++nodes_;
      if (const char* reason = TooMuch()) {
        GiveUp(reason, /*opening=*/true);
      } else {
        open_.push_back(Add(is_array ? Json::array() : Json::object()));
      }
      return true;
    }
    const Decision decision =
        levels_.size() >= kMostDepth ? Decision() : walker_.Enter(Parent(), Key(), is_array);
    if (decision.whole) {
      value_ = is_array ? Json::array() : Json::object();
      open_ = {&value_};
      role_ = decision.role;
      position_ = input_.LastRead();
      begin_ = input_.offset();
      nodes_ = 0;
    } else if (decision.role == kIgnored) {
      skip_ = 1;
    } else {
      levels_.push_back({decision.role, ""});
    }
    return true;
  }

  bool End() {
    Alive();
    if (skip_ > 0) {
      // What was left out does not count among the bytes of the value around it.
      if (--skip_ == 0 && !open_.empty()) begin_ += input_.offset() - left_out_from_;
      return true;
    }
    if (!open_.empty()) {
      open_.pop_back();
      return !open_.empty() || walker_.OnValue(role_, std::move(value_), position_);
    }
    const int role = levels_.back().role;
    levels_.pop_back();
    return walker_.OnLeave(role);
  }

  JsonWalker& walker_;
  Input& input_;
  std::vector<Level> levels_;  // Those that were entered.
  std::uint64_t skip_ = 0;     // Depth in what is passed over.

  // The whole value that is being read, if any: `open_` leads from it to where we are.
  std::vector<Json*> open_;
  Json value_;
  std::string key_;
  int role_ = kIgnored;
  Position position_;
  std::uint64_t begin_ = 0;
  std::uint64_t left_out_from_ = 0;
  std::uint64_t nodes_ = 0;
};

void JsonWalker::Walk(Input* input) {
  std::istream stream(input);
  bool more = true;
  while (more) {
    input->AllowBytes(kMostTokenBytes);
    int next = input->sgetc();
    while (next != std::char_traits<char>::eof() && std::isspace(next) != 0) {
      input->AllowBytes(kMostTokenBytes);
      next = input->snextc();
    }
    if (next == std::char_traits<char>::eof()) break;
    Events events(this, input);
    more = Json::sax_parse(stream, &events, Json::input_format_t::json, /*strict=*/false);
  }
  if (!input->fault().ok()) {
    sink_.Fail(input->LastRead(), std::string(input->fault().message()));
  }
}

}  // namespace spanring::importer
