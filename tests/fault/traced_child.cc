#include "fault/traced_child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace spanring::test {
namespace {

namespace fs = std::filesystem;

std::string MakeFolder(const char* parent) {
  std::string name = std::string(parent) + "/spanring-fault.XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  return name;
}

}  // namespace

WriterFolders::WriterFolders()
    : rings_(MakeFolder("/dev/shm")), journal_(MakeFolder(fs::temp_directory_path().c_str())) {}

WriterFolders::~WriterFolders() {
  std::error_code ignored;
  fs::remove_all(rings_, ignored);
  fs::remove_all(journal_, ignored);
}

Options WriterFolders::OptionsFor(const std::string& conninfo) const {
  Options options;
  options.enabled = true;
  options.database_url = conninfo;
  options.service_name = "fault";
  options.ring_dir = rings_;
  options.journal_dir = journal_;
  options.retry_max_ms = 200;
  options.flush_interval_ms = 20;
  options.exit_timeout_ms = 20'000;
  options.log_errors = std::getenv("SPANRING_TEST_VERBOSE") != nullptr;
  options.log_info = options.log_errors;
  return options;
}

std::size_t WriterFolders::Left() const {
  std::size_t left = 0;
  for (const std::string& folder : {rings_, journal_}) {
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder)) {
      // A child that was killed while it made a folder; it goes a minute later.
      left += entry.path().filename().string().starts_with(".new-") ? 0 : 1;
    }
  }
  return left;
}

std::vector<fs::path> WriterFolders::Files(std::string_view part) const {
  std::vector<fs::path> files;
  for (const std::string& folder : {rings_, journal_}) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().filename();
      if (entry.is_regular_file() && name.find(part) != std::string::npos) {
        files.push_back(entry.path());
      }
    }
  }
  return files;
}

recovery::Recovered RecoverAll(const Options& options) {
  recovery::Recovered sum;
  recovery::Recovery recovery(options);
  for (const recovery::Recovered& one : recovery.Run()) {
    EXPECT_TRUE(one.status.ok()) << one.status;
    sum.from_journal += one.from_journal;
    sum.from_rings += one.from_rings;
    sum.were_open += one.were_open;
    sum.already_there += one.already_there;
    sum.rejected += one.rejected;
    sum.damaged += one.damaged;
  }
  return sum;
}

TracedChild::TracedChild(const Options& options, const Body& body) {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  void* shared = mmap(nullptr, kSharedWords * sizeof(std::uint64_t), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw std::runtime_error("mmap");
  shared_ = static_cast<Shared>(shared);
  std::fflush(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ == 0) {
    close(pipe_fds[0]);
    if (const absl::Status status = Tracer::Start(options); !status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      std::_Exit(101);
    }
    Tracer tracer;
    // An exception ends it, as it would a program, and does not get into the test's own frames.
    const int code = [&]() noexcept {
      return body(tracer, shared_,
                  [&] { [[maybe_unused]] const auto written = write(pipe_fds[1], "x", 1); });
    }();
    std::exit(code);
  }
  close(pipe_fds[1]);
  said_ = pipe_fds[0];
}

TracedChild::~TracedChild() {
  Kill();
  close(said_);
  munmap(shared_, kSharedWords * sizeof(std::uint64_t));
}

void TracedChild::Await() {
  pollfd fd{said_, POLLIN, 0};
  char point = 0;
  if (poll(&fd, 1, 120'000) <= 0 || read(said_, &point, 1) != 1) {
    throw std::runtime_error("the child has not come so far");
  }
}

void TracedChild::Signal(int signal_number) const {
  if (pid_ > 0) kill(pid_, signal_number);
}

void TracedChild::Kill() {
  Signal(SIGKILL);
  Join();
}

int TracedChild::Join() {
  if (pid_ <= 0) return -1;
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace spanring::test
