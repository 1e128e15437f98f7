// What is the page's, and what it is answered with.
#include "serve/page.h"

#include <gtest/gtest.h>

#include <string>

#include "serve/embedded_assets.h"

namespace spanring::serve {
namespace {

TEST(IsPagePath, IsFalseForWhatProgramsAskFor) {
  for (const char* path :
       {"/api", "/api/v1/executions", "/metrics", "/healthz", "/readyz", "/mcp"}) {
    EXPECT_FALSE(IsPagePath(path)) << path;
  }
  for (const char* path : {"/", "/executions/2193/compare/7", "/health", "/assets/x.js", "/apis"}) {
    EXPECT_TRUE(IsPagePath(path)) << path;
  }
}

TEST(PageAnswer, IsThePageAtEveryViewsAddress) {
  for (const char* path : {"/", "/executions", "/executions/2193", "/operations", "/health"}) {
    const http::Response response = PageAnswer(path);
    EXPECT_EQ(response.status, 200) << path;
    EXPECT_EQ(response.content_type, "text/html; charset=utf-8");
    EXPECT_EQ(response.body, IndexPage());
  }
}

TEST(PageAnswer, ServesWhatThePageNamesAndLetsItBeKept) {
  ASSERT_NE(Assets().empty(), SPANRING_HAS_PAGE);
  for (const Asset& asset : Assets()) {
    EXPECT_NE(IndexPage().find(asset.path), std::string_view::npos) << asset.path;
    const http::Response response = PageAnswer(asset.path);
    EXPECT_EQ(response.status, 200) << asset.path;
    EXPECT_EQ(response.body, asset.body);
    ASSERT_EQ(response.headers.size(), 1U);
    EXPECT_EQ(response.headers[0].second, "public, max-age=31536000, immutable");
  }
}

TEST(PageAnswer, HasNoOtherFilesAndNoListing) {
  for (const char* path : {"/assets", "/assets/", "/assets/page.js", "/favicon.ico", "/index.html",
                           "/../etc/passwd", "/executions/2193.json"}) {
    EXPECT_EQ(PageAnswer(path).status, 404) << path;
  }
}

TEST(IndexPage, SaysHowToBuildItWhereItIsLeftOut) {
  EXPECT_NE(IndexPage().find("-Dpage=true") != std::string_view::npos, SPANRING_HAS_PAGE);
}

// The policy allows neither inline scripts nor inline styles.
TEST(IndexPage, HasNothingInline) {
  const std::string page(IndexPage());
  EXPECT_EQ(page.find("<style"), std::string::npos);
  EXPECT_EQ(page.find("style="), std::string::npos);
  EXPECT_EQ(page.find("<script>"), std::string::npos);
}

}  // namespace
}  // namespace spanring::serve
