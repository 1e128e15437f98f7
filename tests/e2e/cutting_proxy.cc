#include "e2e/cutting_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string_view>

namespace spanring::test {
namespace {

// Looks at the stop flag this often.
constexpr int kPollMs = 100;

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) throw std::runtime_error("too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

int NewSocket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }

bool SendAll(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

CuttingProxy::CuttingProxy(std::string server_socket)
    : server_socket_(std::move(server_socket)),
      folder_(std::filesystem::temp_directory_path() / "spanring-proxy-XXXXXX"),
      door_(NewSocket()) {
  if (mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("mkdtemp " + folder_);
  const sockaddr_un address = AddressOf(folder_ + "/.s.PGSQL.5432");
  if (bind(door_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(door_, 8) != 0) {
    throw std::runtime_error("cannot listen in " + folder_);
  }
  accepting_ = std::thread([this] { Accept(); });
}

CuttingProxy::~CuttingProxy() {
  stop_ = true;
  accepting_.join();
  for (std::thread& relay : relaying_) relay.join();
  close(door_);
  std::error_code error;
  std::filesystem::remove_all(folder_, error);
}

void CuttingProxy::Accept() {
  while (!stop_) {
    pollfd door{door_, POLLIN, 0};
    if (poll(&door, 1, kPollMs) <= 0) continue;
    const int client = accept4(door_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) relaying_.emplace_back([this, client] { Relay(client); });
  }
}

void CuttingProxy::Relay(int client) {
  const int server = NewSocket();
  const sockaddr_un address = AddressOf(server_socket_);
  bool open = connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  std::array<char, 65536> buffer;
  while (open && !stop_) {
    std::array<pollfd, 2> ends{pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
    if (poll(ends.data(), ends.size(), kPollMs) <= 0) continue;
    for (const std::size_t from : {0U, 1U}) {
      if (ends[from].revents == 0) continue;
      const ssize_t got = recv(ends[from].fd, buffer.data(), buffer.size(), 0);
      const std::string_view bytes(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
      const bool cut = from == 1 && cuts_left_ > 0 && bytes.find(word_) != bytes.npos;
      if (cut) --cuts_left_;
      open = open && got > 0 && !cut && SendAll(ends[1 - from].fd, bytes);
    }
  }
  close(client);
  close(server);
}

}  // namespace spanring::test
