// TLS: what libpq's sslmode promises holds for spans too, and a refusal says why and no more.
#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "e2e/harness.h"
#include "fault/faulty_proxy.h"
#include "fault/tls_server.h"

namespace spanring::test {
namespace {

class Tls : public testing::Test {
 protected:
  void SetUp() override {
    if (!TlsServer::Available()) GTEST_SKIP() << "install openssl";
    server_ = std::make_unique<TlsServer>();
  }
  std::string Verified(const std::string& host, const std::string& authority) const {
    return absl::StrCat(server_->conninfo(host), " sslmode=verify-full sslrootcert='", authority,
                        "'");
  }
  pg::Connection Admin() const { return ConnectTo((*server_)->conninfo()); }

  // Nothing gets out, a line says why without the password, and nothing is lost meanwhile.
  void ExpectRefused(const std::string& conninfo, std::string_view why) {
    RunningTracer tracer(conninfo);
    tracer.Record(100);
    EXPECT_TRUE(Eventually([] { return LinesWith("failed to persist trace span") > 0; }));
    EXPECT_EQ(LinesWith("failed to persist trace span"), LinesWith(why)) << LogLines().front();
    EXPECT_EQ(LinesWith(server_->password()), 0);
    EXPECT_EQ(tracer.Counted().journalled, 100U);
    ExpectDeadlinesKept(tracer, 100);
    EXPECT_EQ(NumberOf(Admin().get(), "SELECT count(*) FROM trace_writers"), 0);
  }
  void ExpectArrives(const std::string& conninfo) {
    const pg::Connection admin = Admin();
    RunningTracer tracer(conninfo);
    tracer.Record(1000);
    const absl::Status flushed = tracer.Flush();
    EXPECT_TRUE(flushed.ok()) << flushed;
    EXPECT_EQ(ValueOf(admin.get(),
                      "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                      " WHERE application_name = 'spanring'"),
              "t");
    EXPECT_TRUE(tracer.Shutdown().ok());
    EXPECT_EQ(tracer.Counted().persisted, 1000U);
    ExpectDatabaseAgrees(admin.get(), tracer);
  }

  std::unique_ptr<TlsServer> server_;
};

TEST_F(Tls, VerifiedInFull) { ExpectArrives(Verified("localhost", server_->authority())); }

TEST_F(Tls, Required) { ExpectArrives(server_->conninfo() + " sslmode=require"); }

TEST_F(Tls, AnotherAuthorityIsRefused) {
  ExpectRefused(Verified("localhost", server_->other_authority()), "certificate verify failed");
}

TEST_F(Tls, AnotherHostIsRefused) {
  ExpectRefused(Verified("elsewhere.example", server_->authority()),
                "does not match host name \"elsewhere.example\"");
}

TEST_F(Tls, AClientWithoutItIsRefused) {
  ExpectRefused(server_->conninfo() + " sslmode=disable", "no encryption");
}

TEST_F(Tls, AServerWithoutItIsRefused) {
  // The same server by its Unix socket, where it speaks none.
  FaultyProxy proxy((*server_)->socket_folder() + "/.s.PGSQL.5432", FaultyProxy::Door::kTcp);
  ExpectRefused(absl::StrCat(server_->conninfo(), " hostaddr=127.0.0.1 port=", proxy.port(),
                             " sslmode=require"),
                "server does not support SSL, but SSL was required");
}

}  // namespace
}  // namespace spanring::test
