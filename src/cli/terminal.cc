#include "cli/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "absl/strings/str_cat.h"

namespace spanring::cli {
namespace {

constexpr char kEnter[] = "\033[?1049h\033[?25l";
constexpr char kLeave[] = "\033[?25h\033[?1049l";

// For the handlers: written before these are installed.
bool has_keys = false;  // Standard input is a terminal, whose settings these are.
termios settings = {};
termios quiet_settings = {};

template <std::size_t n>
void WriteRaw(const char (&text)[n]) {
  [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, text, n - 1);
}

// Only calls that a signal handler may make:
// https://man7.org/linux/man-pages/man7/signal-safety.7.html
void Enter() {
  if (has_keys) tcsetattr(STDIN_FILENO, TCSANOW, &quiet_settings);
  WriteRaw(kEnter);
}
void Leave() {
  WriteRaw(kLeave);
  if (has_keys) tcsetattr(STDIN_FILENO, TCSANOW, &settings);
}

void Handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

void LeaveAndEnd(int signal) {
  Leave();
  if (signal == SIGINT || signal == SIGTERM) _exit(0);
  Handle(signal, SIG_DFL);
  raise(signal);
}

void LeaveAndStop(int) {
  const int saved_errno = errno;
  Leave();
  Handle(SIGTSTP, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTSTP);
  raise(SIGTSTP);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);  // It stops here.
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  Handle(SIGTSTP, LeaveAndStop);
  Enter();
  errno = saved_errno;
}

constexpr int kEnding[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

}  // namespace

void EndQuietlyOnSignals() {
  for (const int signal : {SIGINT, SIGTERM}) Handle(signal, [](int) { _exit(0); });
}

LiveScreen::LiveScreen() {
  has_keys = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &settings) == 0;
  if (has_keys) {
    quiet_settings = settings;
    quiet_settings.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  }
  for (const int signal : kEnding) Handle(signal, LeaveAndEnd);
  Handle(SIGTSTP, LeaveAndStop);
  Enter();
}

LiveScreen::~LiveScreen() {
  std::fflush(stdout);
  Leave();
  for (const int signal : kEnding) Handle(signal, SIG_DFL);
  Handle(SIGTSTP, SIG_DFL);
}

std::size_t LiveScreen::Height() {
  winsize size = {};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

void LiveScreen::Show(const std::vector<std::string>& lines) {
  std::string frame = "\033[H";
  const std::size_t shown = std::min(lines.size(), Height());
  for (std::size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&frame, lines[i], "\033[K", i + 1 < shown ? "\r\n" : "");
  }
  frame += "\033[J";
  std::fwrite(frame.data(), 1, frame.size(), stdout);
  std::fflush(stdout);
}

bool LiveScreen::Wait(std::chrono::milliseconds time) {
  pollfd keys = {.fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  if (poll(&keys, 1, static_cast<int>(time.count())) <= 0) return true;
  char key = 'q';
  return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q';
}

}  // namespace spanring::cli
