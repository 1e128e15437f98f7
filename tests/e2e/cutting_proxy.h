// Stands between a client and a server, and cuts the line when the server says a given word.
// Threads: its own, one for the door and one for each connection.
// Memory: owns its sockets and their folder.
// Errors: a failure of set-up throws.
// Design: docs/architecture.md#shipper
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace spanring::test {

class CuttingProxy {
 public:
  // `server_socket` is the path of the server's Unix socket.
  explicit CuttingProxy(std::string server_socket);
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  // The folder of its own socket: libpq's `host`.
  const std::string& folder() const { return folder_; }

  // The next `times` answers of the server that hold `word` do not reach the client: its connection
  // ends in their place. Called before the first connection.
  void CutAt(std::string word, int times) {
    word_ = std::move(word);
    cuts_left_ = times;
  }
  int cuts_left() const { return cuts_left_; }

 private:
  void Accept();
  void Relay(int client);

  const std::string server_socket_;
  std::string folder_;
  std::string word_;
  std::atomic<int> cuts_left_{0};
  std::atomic<bool> stop_{false};
  int door_ = -1;
  std::thread accepting_;
  std::vector<std::thread> relaying_;  // By accepting_, and at the end.
};

}  // namespace spanring::test
