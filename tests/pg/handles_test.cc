#include "pg/handles.h"

#include <gtest/gtest.h>

namespace spanring::pg {
namespace {

TEST(FaultOf, ConnectionStringsThatLibpqTakesHaveNone) {
  for (const char* conninfo : {
           "",
           "spans",
           "host=/run/db port=5432 user=me dbname=spans",
           "host=a,b port=1,2",
           "postgresql://me@localhost/spans?sslmode=verify-full",
           "postgres://me:p%40ss%2Fword@localhost:5432/spans",
           "postgresql://me@/spans?host=/run/db",
           "service=spans",
       }) {
    EXPECT_EQ(FaultOf(conninfo), "") << conninfo;
  }
}

// Each of these makes libpq quote a part of the password in its own message.
TEST(FaultOf, TornPasswordsAreFoundAndNeverQuoted) {
  for (const char* conninfo : {
           "postgres:/user:XYZZY@host/db?sslmode=require",
           "postgres:/user:XYZZY@host/db",
           "postgresql://user:XY%ZZY@host/db",
           "postgresql://user:XYZZY/x@host/db",
           "postgresql://user:XY@XYZZY@host/db",
           "host=h password=XY XYZZY user=u",
       }) {
    EXPECT_NE(FaultOf(conninfo), "") << conninfo;
    EXPECT_EQ(FaultOf(conninfo).find("XY"), std::string_view::npos) << conninfo;
  }
}

TEST(OneLine, LineBreaksBecomeSpacesAndTheEndIsTrimmed) {
  EXPECT_EQ(OneLine("a\n\tb\r\nc\n"), "a b c");
  EXPECT_EQ(OneLine("\n\n"), "");
}

TEST(TargetOf, HoldsNoSecretOfAStringThatIsNone) {
  for (const char* conninfo :
       {"user:s3cret@host:5432/db", "postgres://user:pa/s3cret@host/db",
        "dbname=postgres://user:s3cret@host/db", "postgres://user:s3cret@host/db?x=y"}) {
    EXPECT_EQ(TargetOf(conninfo).find("s3cret"), std::string::npos) << conninfo;
  }
}

TEST(TargetOf, IsTheSameHoweverTheDatabaseIsNamedAndHoldsNoSecret) {
  EXPECT_EQ(TargetOf("host=h port=6543 dbname=d user=u password=p"), "h:6543/d");
  EXPECT_EQ(TargetOf("postgresql://u:p@h:6543/d?sslmode=require"), "h:6543/d");
  EXPECT_EQ(TargetOf("postgresql://someone@/d?host=/run/socket"), "/run/socket:5432/d");
  EXPECT_EQ(TargetOf("host=/run/socket dbname=d"), "/run/socket:5432/d");
  EXPECT_EQ(TargetOf("host=h user=u"), "h:5432/u") << "libpq's default";
  EXPECT_EQ(TargetOf("service=s dbname=d"), "s@:/d");
  EXPECT_NE(TargetOf("host=h dbname=a"), TargetOf("host=h dbname=b"));
}

}  // namespace
}  // namespace spanring::pg
