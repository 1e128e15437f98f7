// Stands between a client and a server, and does to the line what networks do, when it is told.
// Threads: one of its own, to which all state belongs; every call from any thread, and in effect
//   when it returns.
// Memory: owns its sockets and their folder; a line holds 256 KiB in each direction at most.
// Errors: a failure of set-up throws.
// Design: docs/reliability.md
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace spanring::test {

class FaultyProxy {
 public:
  enum class Door { kUnix, kTcp };
  enum class Mode {
    kPass,
    kRefuse,  // Nobody listens; the lines there are end.
    kReset,   // Every line ends at once: by RST through a TCP door.
    // Accepts and reads, and says nothing. Who has lost a byte so stays cut off for good, and the
    // server does not hear of it when he leaves, until a mode that ends lines.
    kSwallow,
  };
  enum class Fault { kCut, kReset, kSwallow };
  struct Counts {
    int connections = 0;
    int cuts = 0;                    // Lines ended by a mode or a fault, resets among them.
    int resets = 0;                  // Of those, by RST.
    std::uint64_t client_bytes = 0;  // Passed on, each way.
    std::uint64_t server_bytes = 0;
    std::uint64_t swallowed_bytes = 0;
  };

  // `server_socket` is the path of the server's Unix socket.
  explicit FaultyProxy(std::string server_socket, Door door = Door::kUnix);
  ~FaultyProxy();
  FaultyProxy(const FaultyProxy&) = delete;
  FaultyProxy& operator=(const FaultyProxy&) = delete;

  // How to connect, for libpq: it overrides what a conninfo in front of it says.
  std::string conninfo() const;
  int port() const { return port_; }

  void SetMode(Mode mode);
  // Every chunk is passed on this much later.
  void Delay(std::chrono::milliseconds delay);
  // In each direction; 0: as fast as it goes.
  void Slow(std::uint64_t bytes_per_second);
  // The next `times` answers of the server that hold `word` do not reach the client, and its line
  // breaks in their place.
  void WhenServerSays(std::string word, Fault fault, int times);
  // The line breaks that brings the clients' bytes from now on to more than `bytes`; so many reach
  // the server.
  void AfterClientBytes(std::uint64_t bytes, Fault fault);
  // Of the last WhenServerSays or AfterClientBytes.
  int faults_left();
  Counts counts();

 private:
  using Clock = std::chrono::steady_clock;

  struct Chunk {
    Clock::time_point due;
    std::string bytes;
  };
  struct Way {
    std::deque<Chunk> chunks;
    std::size_t held = 0;
    bool ended = false;    // The sender has no more to say.
    bool blocked = false;  // The receiver takes no more now.
    Clock::time_point next_send{};
  };
  struct Line {
    int client = -1;
    int server = -1;
    Way up;  // To the server.
    Way down;
    bool swallowed = false;
    bool closed = false;
  };

  void InLoop(const std::function<void()>& step);
  void Run();
  int Wait();
  void RunSteps();
  void Listen();
  void StopListening();
  void Accept();
  void Serve(Line& line);
  void Receive(Line& line, bool up);
  void TakeIn(Line& line, bool up, std::string bytes);
  void Send(Line& line, bool up, Clock::time_point now);
  void Break(Line& line, Fault fault);
  void ClientLeft(Line& line);
  void End(Line& line, bool reset);
  Clock::time_point NextTurn(Clock::time_point now) const;

  const std::string server_socket_;
  const Door kind_;
  std::string folder_;
  int port_ = 5432;
  int wake_ = -1;

  std::mutex mutex_;
  std::condition_variable done_;
  std::vector<const std::function<void()>*> steps_;  // Under mutex_.
  std::uint64_t asked_ = 0;                          // Under mutex_.
  std::uint64_t answered_ = 0;                       // Under mutex_.

  // The loop's thread.
  int door_ = -1;
  bool stop_ = false;
  std::list<Line> lines_;
  Mode mode_ = Mode::kPass;
  std::chrono::milliseconds delay_{0};
  std::uint64_t bytes_per_second_ = 0;
  std::string word_;
  bool by_bytes_ = false;
  std::uint64_t bytes_left_ = 0;
  Fault fault_ = Fault::kCut;
  int faults_left_ = 0;
  Counts counts_;

  std::thread loop_;  // Last: it uses all of the above.
};

}  // namespace spanring::test
