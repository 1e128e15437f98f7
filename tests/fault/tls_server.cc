#include "fault/tls_server.h"

#include <random>

#include "absl/strings/str_cat.h"

namespace spanring::test {
namespace {

void MakeAuthority(const ServerFolder& keys, const std::string& name) {
  RunIn(keys, {FindProgram("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
               "/CN=Spanring test " + name, "-keyout", name + ".key", "-out", name + ".crt"});
}

dev::TemporaryServer MakeServer(const ServerFolder& keys, const std::string& address) {
  const std::string openssl = FindProgram("openssl");
  MakeAuthority(keys, "ca");
  MakeAuthority(keys, "other");
  RunIn(keys, {openssl, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
               "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"});
  keys.Write("names", "subjectAltName=DNS:localhost\n");
  RunIn(keys, {openssl, "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
               "-set_serial", "1", "-days", "2", "-extfile", "names", "-out", "server.crt"});
  return OwnServer({"hostssl all traced 127.0.0.0/8 scram-sha-256"},
                   {"listen_addresses = '" + address + "'", "ssl = on",
                    "ssl_cert_file = '" + (keys / "server.crt") + "'",
                    "ssl_key_file = '" + (keys / "server.key") + "'"});
}

std::string OwnAddress() {
  std::random_device random;
  return absl::StrCat("127.", 1 + random() % 250, ".", random() % 250, ".", 1 + random() % 250);
}

std::string OwnPassword() {
  std::random_device random;
  return absl::StrCat("p", random(), random());
}

}  // namespace

TlsServer::TlsServer()
    : address_(OwnAddress()), password_(OwnPassword()), server_(MakeServer(keys_, address_)) {
  Migrate(server_->conninfo());
  RunSql(
      ConnectTo(server_->conninfo()).get(),
      absl::StrCat("CREATE ROLE traced LOGIN PASSWORD '", password_, "' IN ROLE spanring_writer"));
}

std::string TlsServer::conninfo(const std::string& host) const {
  return absl::StrCat("host=", host, " hostaddr=", address_,
                      " port=5432 dbname=postgres user=traced password=", password_);
}

}  // namespace spanring::test
