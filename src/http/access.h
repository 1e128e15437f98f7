// Who may ask: by a token, or else by the name that the server is called by; and from which pages.
// Threads: any.
// Memory: owned strings.
// Errors: the status with which a request is refused.
// Design: docs/web.md
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace spanring::http {

struct Access {
  std::string token;               // "" = none asked for
  std::vector<std::string> hosts;  // names by which it may be called, beside those of this machine

  // 0, or 401 where the token is missing or wrong, or, where none is asked for, 421: not called by
  // a name of this machine, as a page of any origin could ask whose name resolves to it.
  [[nodiscard]] int Refusal(const Request& request) const;
  // False where a page of another origin asks; what is no browser does not say one.
  [[nodiscard]] bool IsFromOwnOrigin(const Request& request) const;
};

// What 401 and 421 say, with what to do.
[[nodiscard]] std::string_view RefusalMessage(int status);

// Of a Content-Type or a range of Accept: "application/json; charset=utf-8" as "application/json".
[[nodiscard]] std::string MediaType(std::string_view text);

}  // namespace spanring::http
