// A PostgreSQL that speaks TLS, with an authority and a certificate made on the spot.
// Threads: as PrivateServer.
// Memory: the server and its keys go with the object.
// Errors: a failure of set-up throws.
// Design: docs/reliability.md
#pragma once

#include <string>

#include "e2e/harness.h"
#include "fault/fixture.h"

namespace spanring::test {

// Listens on a loopback address of its own, so that it shares no port with another server, for the
// role `traced` only, which has a password, and with TLS only.
class TlsServer {
 public:
  // False when this machine lacks the program that makes certificates.
  static bool Available() { return !FindProgram("openssl").empty(); }

  TlsServer();

  dev::PrivateServer* operator->() { return &*server_; }
  // For a client that takes the server to be `host`; the certificate is for `localhost`.
  std::string conninfo(const std::string& host = "localhost") const;
  const std::string& password() const { return password_; }
  // The certificate of the authority that signed the server's, and of another one.
  std::string authority() const { return keys_ / "ca.crt"; }
  std::string other_authority() const { return keys_ / "other.crt"; }

 private:
  const ServerFolder keys_{"tls"};
  const std::string address_;
  const std::string password_;
  dev::TemporaryServer server_;
};

}  // namespace spanring::test
