#include "pg/handles.h"

#include <cstdlib>

namespace spanring::pg {
namespace {

constexpr std::string_view kNotValid =
    "DATABASE_URL is not a valid connection string or URL (special characters in the password must "
    "be "
    "percent-encoded in a URL, and quoted in a connection string)";

bool LooksTorn(const PQconninfoOption& option) {
  if (option.val == nullptr) return false;
  const std::string_view keyword = option.keyword;
  const std::string_view value = option.val;
  if (keyword == "host") return value.find('@') != std::string_view::npos;
  if (keyword == "dbname") return value.find_first_of("@:") != std::string_view::npos;
  if (keyword == "port") return value.find_first_not_of("0123456789,") != std::string_view::npos;
  return false;
}

}  // namespace

std::string_view FaultOf(const std::string& conninfo) {
  const bool is_name = conninfo.find('=') == std::string::npos &&
                       !conninfo.starts_with("postgres://") &&
                       !conninfo.starts_with("postgresql://");
  if (is_name) return conninfo.find_first_of("@:") == std::string::npos ? "" : kNotValid;
  char* message = nullptr;
  PQconninfoOption* options = PQconninfoParse(conninfo.c_str(), &message);
  PQfreemem(message);
  if (options == nullptr) return kNotValid;
  bool torn = false;
  for (const PQconninfoOption* o = options; o->keyword != nullptr; ++o) torn |= LooksTorn(*o);
  PQconninfoFree(options);
  return torn ? kNotValid : std::string_view();
}

// Without PQconndefaults, which asks the system who the user is: in the child of a fork another
// thread's lock there may never open.
std::string TargetOf(const std::string& conninfo) {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  std::string host;
  std::string port;
  std::string name;
  std::string user;
  std::string service;
  // Whatever such a string means, a password may stand anywhere in it.
  if (!FaultOf(conninfo).empty()) return "not a valid connection string";
  if (conninfo.find('=') == std::string::npos && conninfo.find("://") == std::string::npos) {
    name = conninfo;
  } else if (PQconninfoOption* options = PQconninfoParse(conninfo.c_str(), nullptr)) {
    for (const PQconninfoOption* o = options; o->keyword != nullptr; ++o) {
      if (o->val == nullptr) continue;
      const std::string_view keyword = o->keyword;
      if (keyword == "host" || (keyword == "hostaddr" && host.empty())) host = o->val;
      if (keyword == "port") port = o->val;
      if (keyword == "dbname") name = o->val;
      if (keyword == "user") user = o->val;
      if (keyword == "service") service = o->val;
    }
    PQconninfoFree(options);
  }
  if (service.empty()) service = variable("PGSERVICE");
  if (host.empty()) host = variable("PGHOST");
  if (host.empty()) host = variable("PGHOSTADDR");
  if (port.empty()) port = variable("PGPORT");
  if (name.empty()) name = variable("PGDATABASE");
  if (name.empty()) name = user.empty() ? variable("PGUSER") : user;  // As libpq does.
  if (port.empty() && service.empty()) port = "5432";
  return (service.empty() ? "" : service + "@") + host + ":" + port + "/" + name;
}

std::string OneLine(std::string_view message) {
  std::string line;
  line.reserve(message.size());
  for (const char c : message) {
    if (c == '\n' || c == '\t' || c == '\r') {
      if (!line.empty() && line.back() != ' ') line.push_back(' ');
    } else {
      line.push_back(c);
    }
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

}  // namespace spanring::pg
