#include "fault/faulty_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace spanring::test {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kRoomBytes = 256 * 1024;

sockaddr_un UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) throw std::runtime_error("too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

sockaddr_in LoopbackAddress(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int NewSocket(int family) { return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

template <typename Address>
bool BindAndListen(int fd, const Address& address) {
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
         listen(fd, 64) == 0;
}

bool TryLater(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

FaultyProxy::FaultyProxy(std::string server_socket, Door door)
    : server_socket_(std::move(server_socket)),
      kind_(door),
      folder_(std::filesystem::temp_directory_path() / "spanring-proxy-XXXXXX"),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("mkdtemp " + folder_);
  if (kind_ == Door::kTcp) port_ = 0;
  Listen();
  loop_ = std::thread([this] { Run(); });
}

FaultyProxy::~FaultyProxy() {
  InLoop([this] { stop_ = true; });
  loop_.join();
  for (Line& line : lines_) End(line, /*reset=*/false);
  StopListening();
  close(wake_);
  std::error_code error;
  std::filesystem::remove_all(folder_, error);
}

std::string FaultyProxy::conninfo() const {
  if (kind_ == Door::kUnix) return "host='" + folder_ + "' port=5432";
  return "host=127.0.0.1 port=" + std::to_string(port_);
}

void FaultyProxy::SetMode(Mode mode) {
  InLoop([this, mode] {
    mode_ = mode;
    if (mode == Mode::kRefuse || mode == Mode::kReset) {
      for (Line& line : lines_) {
        Break(line, mode == Mode::kReset ? Fault::kReset : Fault::kCut);
      }
    }
    mode == Mode::kRefuse ? StopListening() : Listen();
  });
}

void FaultyProxy::Delay(milliseconds delay) {
  InLoop([this, delay] { delay_ = delay; });
}

void FaultyProxy::Slow(std::uint64_t bytes_per_second) {
  InLoop([this, bytes_per_second] {
    bytes_per_second_ = bytes_per_second;
    for (Line& line : lines_) line.up.next_send = line.down.next_send = {};
  });
}

void FaultyProxy::WhenServerSays(std::string word, Fault fault, int times) {
  InLoop([&] {
    word_ = word;
    by_bytes_ = false;
    fault_ = fault;
    faults_left_ = times;
  });
}

void FaultyProxy::AfterClientBytes(std::uint64_t bytes, Fault fault) {
  InLoop([this, bytes, fault] {
    by_bytes_ = true;
    bytes_left_ = bytes;
    fault_ = fault;
    faults_left_ = 1;
  });
}

int FaultyProxy::faults_left() {
  int left = 0;
  InLoop([&] { left = faults_left_; });
  return left;
}

FaultyProxy::Counts FaultyProxy::counts() {
  Counts counts;
  InLoop([&] { counts = counts_; });
  return counts;
}

// Has the loop do `step` between two turns, and waits for it.
void FaultyProxy::InLoop(const std::function<void()>& step) {
  std::unique_lock lock(mutex_);
  steps_.push_back(&step);
  const std::uint64_t ticket = ++asked_;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_, &one, sizeof(one));
  done_.wait(lock, [&] { return answered_ >= ticket; });
}

void FaultyProxy::RunSteps() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = read(wake_, &count, sizeof(count));
  const std::lock_guard lock(mutex_);
  for (const auto* step : steps_) (*step)();
  steps_.clear();
  answered_ = asked_;
  done_.notify_all();
}

void FaultyProxy::Run() {
  while (!stop_) {
    Wait();
    RunSteps();
    Accept();
    for (Line& line : lines_) Serve(line);
    lines_.remove_if([](const Line& line) { return line.closed; });
  }
}

// Until something can be done, or is due. A client that has gone is noticed here, since nobody
// reads from it while its line is full.
int FaultyProxy::Wait() {
  std::vector<pollfd> fds = {{wake_, POLLIN, 0}, {door_, POLLIN, 0}};
  for (const Line& line : lines_) {
    const auto events = [](const Way& in, const Way& out) {
      return static_cast<short>((in.held < kRoomBytes ? POLLIN : 0) | (out.blocked ? POLLOUT : 0));
    };
    fds.push_back({line.client, static_cast<short>(events(line.up, line.down) | POLLRDHUP), 0});
    const short wanted = line.down.ended ? short{0} : events(line.down, line.up);
    fds.push_back({wanted == 0 ? -1 : line.server, wanted, 0});
  }
  const auto now = Clock::now();
  const auto pause = std::chrono::ceil<milliseconds>(NextTurn(now) - now).count();
  const int ready =
      poll(fds.data(), fds.size(), static_cast<int>(std::clamp<std::int64_t>(pause, 0, 60'000)));
  std::size_t i = 2;
  for (Line& line : lines_) {
    if ((fds[i].revents & (POLLHUP | POLLERR | POLLRDHUP)) != 0) ClientLeft(line);
    i += 2;
  }
  lines_.remove_if([](const Line& line) { return line.closed; });
  return ready;
}

FaultyProxy::Clock::time_point FaultyProxy::NextTurn(Clock::time_point now) const {
  auto next = now + std::chrono::minutes(1);
  for (const Line& line : lines_) {
    for (const Way* way : {&line.up, &line.down}) {
      if (way->chunks.empty() || way->blocked) continue;
      next = std::min(next, std::max(way->chunks.front().due, way->next_send));
    }
  }
  return next;
}

void FaultyProxy::Listen() {
  if (door_ >= 0) return;
  bool listening = false;
  if (kind_ == Door::kUnix) {
    const std::string path = folder_ + "/.s.PGSQL.5432";
    unlink(path.c_str());
    door_ = NewSocket(AF_UNIX);
    listening = BindAndListen(door_, UnixAddress(path));
  } else {
    door_ = NewSocket(AF_INET);
    const int on = 1;
    setsockopt(door_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    listening = BindAndListen(door_, LoopbackAddress(port_));
    sockaddr_in bound{};
    socklen_t length = sizeof(bound);
    getsockname(door_, reinterpret_cast<sockaddr*>(&bound), &length);
    port_ = ntohs(bound.sin_port);
  }
  if (!listening) throw std::runtime_error("the proxy cannot listen");
}

void FaultyProxy::StopListening() {
  if (door_ >= 0) close(door_);
  door_ = -1;
}

void FaultyProxy::Accept() {
  for (;;) {
    const int client =
        door_ < 0 ? -1 : accept4(door_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    ++counts_.connections;
    Line line;
    line.client = client;
    line.server = NewSocket(AF_UNIX);
    const sockaddr_un address = UnixAddress(server_socket_);
    const int connected =
        connect(line.server, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    if (mode_ == Mode::kReset) {
      Break(line, Fault::kReset);
    } else if (connected != 0) {
      End(line, /*reset=*/false);  // As if the server itself had no room, or were not there.
    } else {
      lines_.push_back(std::move(line));
    }
  }
}

void FaultyProxy::Serve(Line& line) {
  for (const bool up : {true, false}) {
    if (!line.closed) Receive(line, up);
  }
  const auto now = Clock::now();
  for (const bool up : {true, false}) {
    if (!line.closed) Send(line, up, now);
  }
  // What the server said before it closed still arrives; nobody waits for what a client said.
  if (line.closed) return;
  if (line.up.ended) ClientLeft(line);
  if (line.down.ended && line.down.chunks.empty()) End(line, /*reset=*/false);
}

void FaultyProxy::ClientLeft(Line& line) {
  if (!line.swallowed) return End(line, /*reset=*/false);
  close(std::exchange(line.client, -1));
  line.up.ended = false;
  line.down.chunks.clear();
}

void FaultyProxy::Receive(Line& line, bool up) {
  if (up && line.client < 0) return;
  Way& way = up ? line.up : line.down;
  std::array<char, 32 * 1024> buffer;
  while (!line.closed && !way.ended && way.held < kRoomBytes) {
    const ssize_t got = recv(up ? line.client : line.server, buffer.data(), buffer.size(), 0);
    if (got < 0 && TryLater(errno)) return;
    if (got <= 0) {
      way.ended = true;
      return;
    }
    TakeIn(line, up, std::string(buffer.data(), static_cast<std::size_t>(got)));
  }
}

void FaultyProxy::TakeIn(Line& line, bool up, std::string bytes) {
  if (mode_ == Mode::kSwallow) line.swallowed = true;
  if (line.swallowed) {
    counts_.swallowed_bytes += bytes.size();
    return;
  }
  bool breaks = false;
  if (faults_left_ > 0 && by_bytes_ && up) {
    breaks = bytes.size() > bytes_left_;
    if (breaks) bytes.resize(bytes_left_);
    bytes_left_ -= bytes.size();
  } else if (faults_left_ > 0 && !by_bytes_ && !up) {
    breaks = bytes.find(word_) != std::string::npos;
    if (breaks) bytes.clear();
  }
  const auto now = Clock::now();
  if (!bytes.empty()) {
    Way& way = up ? line.up : line.down;
    way.held += bytes.size();
    way.chunks.push_back({now + delay_, std::move(bytes)});
  }
  if (!breaks) return;
  --faults_left_;
  Send(line, up, now);
  if (!line.closed) Break(line, fault_);
}

void FaultyProxy::Send(Line& line, bool up, Clock::time_point now) {
  Way& way = up ? line.up : line.down;
  way.blocked = false;
  while (!way.chunks.empty() && way.chunks.front().due <= now && way.next_send <= now) {
    std::string& bytes = way.chunks.front().bytes;
    std::size_t most = bytes.size();
    if (bytes_per_second_ > 0) {
      most = std::min<std::size_t>(most, std::max<std::uint64_t>(1, bytes_per_second_ / 20));
    }
    const ssize_t sent = send(up ? line.server : line.client, bytes.data(), most, MSG_NOSIGNAL);
    if (sent < 0 && TryLater(errno)) {
      way.blocked = true;
      return;
    }
    if (sent <= 0) {
      // A server that closed may have left a word in the other direction.
      if (!up) return End(line, /*reset=*/false);
      way.chunks.clear();
      way.held = 0;
      return;
    }
    const auto count = static_cast<std::uint64_t>(sent);
    (up ? counts_.client_bytes : counts_.server_bytes) += count;
    if (bytes_per_second_ > 0) {
      way.next_send = now + std::chrono::nanoseconds(count * 1'000'000'000 / bytes_per_second_);
    }
    way.held -= count;
    bytes.erase(0, count);
    if (bytes.empty()) way.chunks.pop_front();
  }
}

void FaultyProxy::Break(Line& line, Fault fault) {
  if (fault == Fault::kSwallow) {
    line.swallowed = true;
    return;
  }
  ++counts_.cuts;
  End(line, fault == Fault::kReset);
}

void FaultyProxy::End(Line& line, bool reset) {
  if (line.closed) return;
  line.closed = true;
  if (reset && line.client >= 0) {
    ++counts_.resets;
    const linger at_once{1, 0};
    setsockopt(line.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  if (line.client >= 0) close(line.client);
  close(line.server);
}

}  // namespace spanring::test
