#include "http/message.h"

#include <gtest/gtest.h>

namespace spanring::http {
namespace {

TEST(ParseTarget, TakesPathAndQueryApart) {
  Request request;
  ASSERT_TRUE(
      ParseTarget("/api/services/a%2Fb%20c/x?q=1+2%2B3&empty=&flag&q=again#rest", &request));
  EXPECT_EQ(request.path, "/api/services/a/b c/x");
  EXPECT_EQ(request.parts, (std::vector<std::string>{"", "api", "services", "a/b c", "x"}));
  EXPECT_EQ(request.query, (Fields{{"q", "1 2+3"}, {"empty", ""}, {"flag", ""}, {"q", "again"}}));
  EXPECT_EQ(request.Query("q"), "1 2+3");
  EXPECT_EQ(request.Query("none"), std::nullopt);
}

TEST(ParseTarget, RefusesWhatIsNoTarget) {
  Request request;
  for (const char* target : {"", "api", "http://a/b", "/%", "/%4", "/%-1", "/%+1", "/%4g", "/%zz",
                             "/%00", "/%ff", "/?a=%c3", "/?%80=1", "*"}) {
    EXPECT_FALSE(ParseTarget(target, &request)) << target;
  }
}

TEST(ErrorResponse, IsJsonWhateverTheMessage) {
  const Response response = ErrorResponse(400, "a \"quote\" and a \xff");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body,
            "{\"error\":{\"message\":\"a \\\"quote\\\" and a \xef\xbf\xbd\",\"status\":400}}");
}

}  // namespace
}  // namespace spanring::http
