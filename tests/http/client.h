// A client that sends the bytes it is told to, and waits for as many as there are.
// Threads: one. Memory: owns its socket. Errors: "" where the server closed without a word.
// Design: docs/web.md
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace spanring::test {

class Client {
 public:
  explicit Client(std::uint16_t port, int patience_s = 20)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience = {.tv_sec = patience_s, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      throw std::runtime_error("cannot connect");
    }
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // False when the server takes no more.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // One response, by its Content-Length; what there is when the connection ends before.
  std::string Receive() {
    for (;;) {
      const std::size_t end = received_.find("\r\n\r\n");
      if (end != std::string::npos) {
        const std::size_t length = ContentLength(received_.substr(0, end));
        if (received_.size() >= end + 4 + length) {
          const std::string response = received_.substr(0, end + 4 + length);
          received_.erase(0, response.size());
          return response;
        }
      }
      if (!More()) return std::exchange(received_, "");
    }
  }

  // Waits for the first bytes of a response, and takes no more of it.
  std::string_view Begin() {
    if (received_.empty()) More();
    return received_;
  }

  // Whether the server ends the connection, with nothing more to say.
  bool IsClosed() { return received_.empty() && !More(); }

 private:
  static std::size_t ContentLength(const std::string& header) {
    const std::size_t at = header.find("\r\nContent-Length: ");
    return at == std::string::npos ? 0 : std::stoul(header.substr(at + 18));
  }

  bool More() {
    char bytes[4096];
    const ssize_t count = recv(fd_, bytes, sizeof(bytes), 0);
    if (count > 0) received_.append(bytes, static_cast<std::size_t>(count));
    return count > 0;
  }

  int fd_;
  std::string received_;
};

}  // namespace spanring::test
