#include "mcp/transports.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "http/access.h"

namespace spanring::mcp {
namespace {

absl::Status WriteLine(int out, std::string text) {
  text.push_back('\n');
  std::string_view left = text;
  while (!left.empty()) {
    const ssize_t written = write(out, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      return absl::UnavailableError(absl::StrCat("nobody reads: ", std::strerror(errno)));
    }
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

// Lines out of pieces; of one that is too long only so much is kept that it is seen to be.
class Lines {
 public:
  explicit Lines(int in) : in_(in) {}

  // False at the end. The last line need not end in one.
  bool Next(std::string* line) {
    line->clear();
    for (;;) {
      const std::size_t end = buffered_.find('\n', at_);
      const std::size_t count = (end == std::string::npos ? buffered_.size() : end) - at_;
      line->append(buffered_, at_, std::min(count, kMaxMessageBytes + 1 - line->size()));
      at_ += count;
      if (end != std::string::npos) {
        ++at_;
        return true;
      }
      if (!Fill()) return !line->empty();
    }
  }

 private:
  bool Fill() {
    at_ = 0;
    buffered_.resize(64 * 1024);
    ssize_t count = 0;
    do {
      count = read(in_, buffered_.data(), buffered_.size());
    } while (count < 0 && errno == EINTR);
    buffered_.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return count > 0;
  }

  const int in_;
  std::string buffered_;
  std::size_t at_ = 0;
};

bool TakesJson(const http::Request& request) {
  const std::optional<std::string> accept = request.Header("accept");
  if (!accept || accept->empty()) return true;
  for (const absl::string_view range : absl::StrSplit(*accept, ',')) {
    const std::string type = http::MediaType({range.data(), range.size()});
    if (type == "application/json" || type == "application/*" || type == "*/*") return true;
  }
  return false;
}

}  // namespace

absl::Status ServeLines(const Protocol& protocol, int in, int out) {
  Lines lines(in);
  std::string line;
  while (lines.Next(&line)) {
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    Reply reply = protocol.Answer(line);
    if (reply.body.empty()) continue;
    if (absl::Status status = WriteLine(out, std::move(reply.body)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

http::Response AnswerHttp(const Protocol& protocol, const http::Request& request,
                          const std::vector<std::string>& hosts) {
  if (!http::Access{.token = "", .hosts = hosts}.IsFromOwnOrigin(request)) {
    return http::ErrorResponse(403, "this origin may not ask: start with --host NAME");
  }
  if (request.method != "POST") {
    http::Response response = http::ErrorResponse(405, "only POST here: there are no sessions");
    response.headers.emplace_back("Allow", "POST");
    return response;
  }
  // A page can send other types to anybody without asking first.
  if (http::MediaType(request.Header("content-type").value_or("")) != "application/json") {
    return http::ErrorResponse(415, "Content-Type must be application/json");
  }
  if (!TakesJson(request)) return http::ErrorResponse(406, "the answer is application/json");
  const Envelope envelope = {.version = request.Header("mcp-protocol-version"),
                             .method = request.Header("mcp-method"),
                             .name = request.Header("mcp-name")};
  const Reply reply = protocol.Answer(request.body, &envelope);
  http::Response response;
  response.status = reply.http_status;
  response.body = reply.body;
  if (reply.body.empty()) response.content_type.clear();
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

}  // namespace spanring::mcp
