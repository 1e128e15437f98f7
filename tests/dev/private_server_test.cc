#include "dev/private_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dev/server_programs.h"
#include "dev/temporary_server.h"
#include "pg/client.h"

namespace spanring::dev {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

const ServerOptions kForTests{.durable = false, .hba_lines = {}, .settings = {}};

// A state folder that is gone, with its server, when the test ends.
class StateFolder {
 public:
  explicit StateFolder(const std::string& below = "") {
    const char* tmp = std::getenv("TMPDIR");
    root_ = absl::StrCat(tmp != nullptr ? tmp : "/tmp", "/spanring-dev-XXXXXX");
    EXPECT_NE(mkdtemp(root_.data()), nullptr);
    chmod(root_.c_str(), 0755);
    path_ = root_ + "/state" + below;
  }
  ~StateFolder() {
    absl::StatusOr<PrivateServer> server = PrivateServer::Open(path_, kForTests);
    EXPECT_TRUE(server.ok() && server->Kill().ok() && server->Remove().ok());
    fs::remove_all(root_);
  }
  const std::string& path() const { return path_; }
  const std::string& root() const { return root_; }

  PrivateServer Open() const {
    absl::StatusOr<PrivateServer> server = PrivateServer::Open(path_, kForTests);
    EXPECT_TRUE(server.ok()) << server.status();
    return *server;
  }

 private:
  std::string root_;
  std::string path_;
};

std::string Ask(const std::string& conninfo, const std::string& sql) {
  absl::StatusOr<pg::Connection> connection = pg::Connect(conninfo, "private_server_test");
  if (!connection.ok()) return std::string(connection.status().message());
  absl::StatusOr<pg::Result> result = pg::Query(connection->get(), sql);
  if (!result.ok()) return std::string(result.status().message());
  return PQntuples(result->get()) > 0 ? std::string(pg::Cell(result->get(), 0, 0)) : "";
}

TEST(PrivateServer, LooksWithoutTouching) {
  StateFolder folder;
  PrivateServer server = folder.Open();
  EXPECT_FALSE(server.running());
  EXPECT_FALSE(server.answers());
  EXPECT_TRUE(server.Stop().ok());
  EXPECT_TRUE(server.Kill().ok());
  EXPECT_FALSE(fs::exists(folder.path()));
}

TEST(PrivateServer, StartsAnswersStopsAndKeepsData) {
  StateFolder folder;
  PrivateServer server = folder.Open();
  ASSERT_TRUE(server.Start().ok());
  EXPECT_TRUE(server.running());
  ASSERT_TRUE(server.EnsureDatabase("it's \"mine\"").ok());
  ASSERT_TRUE(server.EnsureDatabase("it's \"mine\"").ok()) << "twice is fine";
  EXPECT_EQ(Ask(server.conninfo("it's \"mine\""), "SELECT current_database()"), "it's \"mine\"");
  EXPECT_EQ(Ask(server.url("it's \"mine\""), "SELECT current_database()"), "it's \"mine\"");
  EXPECT_EQ(Ask(server.conninfo(), "SHOW server_encoding"), "UTF8");
  EXPECT_EQ(Ask(server.conninfo(), "SHOW listen_addresses"), "");
  EXPECT_EQ(Ask(server.conninfo(), "SELECT lower('ÄÖ')"), "äö");
  Ask(server.conninfo(), "CREATE TABLE kept AS SELECT 7 AS x");
  ASSERT_TRUE(server.Restart().ok());
  EXPECT_EQ(Ask(server.conninfo(), "SELECT x FROM kept"), "7");
  ASSERT_TRUE(server.Stop().ok());
  EXPECT_FALSE(server.running());
}

TEST(PrivateServer, RecreateDatabaseThrowsOutWhoIsConnected) {
  StateFolder folder;
  PrivateServer server = folder.Open();
  ASSERT_TRUE(server.Start().ok());
  ASSERT_TRUE(server.EnsureDatabase("d").ok());
  absl::StatusOr<pg::Connection> guest = pg::Connect(server.conninfo("d"), "guest");
  ASSERT_TRUE(guest.ok());
  ASSERT_TRUE(pg::Execute(guest->get(), "CREATE TABLE t ()").ok());
  ASSERT_TRUE(server.RecreateDatabase("d").ok());
  EXPECT_EQ(Ask(server.conninfo("d"), "SELECT to_regclass('t') IS NULL"), "t");
}

TEST(PrivateServer, StartingTwiceKeepsTheSameServer) {
  StateFolder folder;
  PrivateServer server = folder.Open();
  ASSERT_TRUE(server.Start().ok());
  const pid_t first = server.pid();
  PrivateServer another = folder.Open();
  ASSERT_TRUE(another.Start().ok());
  EXPECT_EQ(another.pid(), first);
  EXPECT_EQ(another.conninfo(), server.conninfo());
}

TEST(PrivateServer, ManyStartsAtOnceMakeOneServer) {
  StateFolder folder;
  std::vector<std::thread> threads;
  std::vector<pid_t> pids(4);
  for (pid_t& pid : pids) {
    threads.emplace_back([&folder, &pid] {
      PrivateServer server = folder.Open();
      const absl::Status status = server.Start();
      EXPECT_TRUE(status.ok()) << status;
      pid = server.pid();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const pid_t pid : pids) EXPECT_EQ(pid, pids[0]);
  EXPECT_GT(pids[0], 0);
}

TEST(PrivateServer, RecoversFromACrash) {
  StateFolder folder;
  PrivateServer server = folder.Open();
  ASSERT_TRUE(server.Start().ok());
  Ask(server.conninfo(), "CREATE TABLE kept AS SELECT 7 AS x");
  Ask(server.conninfo(), "CHECKPOINT");
  for (int i = 0; i < 3; ++i) {
    const pid_t killed = server.pid();
    ASSERT_TRUE(server.Kill().ok());
    EXPECT_FALSE(server.running());
    EXPECT_TRUE(fs::exists(server.data_folder() + "/postmaster.pid")) << "left by the crash";
    const absl::Status status = server.Start();
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_NE(server.pid(), killed);
    EXPECT_EQ(Ask(server.conninfo(), "SELECT x FROM kept"), "7");
  }
}

// After a reboot the number in postmaster.pid belongs to somebody else, of the same user even.
TEST(PrivateServer, TakesNoOtherProcessForItsServer) {
  StateFolder folder;
  PrivateServer server = folder.Open();
  ASSERT_TRUE(server.Start().ok());
  struct stat data;
  ASSERT_EQ(stat(server.data_folder().c_str(), &data), 0);
  const std::string pid_path = server.data_folder() + "/postmaster.pid";
  std::ifstream file(pid_path);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  ASSERT_TRUE(server.Kill().ok());
  const pid_t stranger = fork();
  if (stranger == 0) {
    if (geteuid() == 0 && (setgid(data.st_gid) != 0 || setuid(data.st_uid) != 0)) _exit(1);
    for (;;) pause();
  }
  text.replace(0, text.find('\n'), std::to_string(stranger));
  std::ofstream(pid_path) << text;
  EXPECT_FALSE(server.running());
  const absl::Status status = server.Start();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_NE(server.pid(), stranger);
  EXPECT_TRUE(ProcessAlive(stranger)) << "it is none of our business";
  kill(stranger, SIGKILL);
  waitpid(stranger, nullptr, 0);
}

TEST(PrivateServer, StopEndsAServerThatHangs) {
  StateFolder folder;
  PrivateServer server = folder.Open();
  ASSERT_TRUE(server.Start().ok());
  const pid_t hung = server.pid();
  kill(hung, SIGSTOP);
  EXPECT_TRUE(server.running());
  EXPECT_FALSE(server.answers());
  EXPECT_TRUE(server.Stop(milliseconds(10000)).ok());
  EXPECT_FALSE(ProcessAlive(hung));
}

TEST(PrivateServer, ALongPathGetsAShortSocketFolder) {
  StateFolder folder("/" + std::string(100, 'd') + "/" + std::string(60, 'e'));
  PrivateServer server = folder.Open();
  const absl::Status status = server.Start();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_LE(server.socket_folder().size(), kMaxSocketFolderBytes);
  EXPECT_EQ(Ask(server.conninfo(), "SELECT 1"), "1");
  EXPECT_EQ(Ask(folder.Open().conninfo(), "SELECT 1"), "1") << "another process finds it";
  const std::string socket_folder = server.socket_folder();
  ASSERT_TRUE(server.Remove().ok());
  EXPECT_FALSE(fs::exists(socket_folder));
}

TEST(PrivateServer, APathWithSpacesAndQuotesWorks) {
  StateFolder folder("/it's a \"state\" \\folder");
  PrivateServer server = folder.Open();
  const absl::Status status = server.Start();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Ask(server.conninfo(), "SELECT 1"), "1");
  EXPECT_EQ(Ask(server.url(), "SELECT 1"), "1");
}

TEST(PrivateServer, NobodyElseCanEnter) {
  StateFolder folder;
  PrivateServer server = folder.Open();
  ASSERT_TRUE(server.Start().ok());
  for (const std::string& path : {server.data_folder(), server.socket_folder()}) {
    struct stat info;
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077, 0U) << path;
    EXPECT_NE(info.st_uid, 0U) << "PostgreSQL does not run as root";
  }
  if (geteuid() != 0) return;
  const pid_t stranger = fork();
  if (stranger == 0) {
    if (setgid(65534) != 0 || setuid(65534) != 0) _exit(2);
    _exit(pg::Connect(server.conninfo(), "stranger").ok() ? 1 : 0);
  }
  int status = 0;
  waitpid(stranger, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "another user got in";
}

// A fresh clone under /root: the server's user cannot pass, so the data go elsewhere.
TEST(PrivateServer, RootOnlyStateFolderMovesTheData) {
  if (geteuid() != 0) GTEST_SKIP() << "only root runs the server as another user";
  StateFolder folder("/below");
  chmod(folder.root().c_str(), 0700);
  PrivateServer server = folder.Open();
  const absl::Status status = server.Start();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_NE(server.relocation_notice(), "");
  EXPECT_EQ(Ask(server.conninfo(), "SELECT 1"), "1");
  EXPECT_EQ(folder.Open().pid(), server.pid()) << "another process finds it";
  EXPECT_FALSE(fs::exists(folder.path() + "/postgres"));
  ASSERT_TRUE(server.Remove().ok());
  EXPECT_FALSE(fs::exists(server.data_folder()));
}

TEST(PrivateServer, ASocketFolderThatVanishedIsMadeAnew) {
  StateFolder folder("/" + std::string(120, 'd'));
  PrivateServer server = folder.Open();
  ASSERT_TRUE(server.Start().ok());
  fs::remove_all(server.socket_folder());
  EXPECT_FALSE(server.answers());
  const absl::Status status = server.Start();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Ask(server.conninfo(), "SELECT 1"), "1");
}

TEST(PrivateServer, AFailedStartShowsTheServersOwnWords) {
  StateFolder folder;
  absl::StatusOr<PrivateServer> server = PrivateServer::Open(
      folder.path(), {.durable = false, .hba_lines = {}, .settings = {"no_such_setting = 1"}});
  ASSERT_TRUE(server.ok());
  const absl::Status status = server->Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("no_such_setting"), absl::string_view::npos) << status;
  EXPECT_EQ(status.message().find('\n'), absl::string_view::npos) << "one line";
}

TEST(PrivateServer, AnInterruptedInitIsDoneAgain) {
  StateFolder folder;
  PrivateServer server = folder.Open();
  fs::create_directories(folder.path() + "/postgres/data.new/base");
  chmod((folder.path() + "/postgres").c_str(), 0700);
  if (geteuid() == 0) chmod((folder.path() + "/postgres").c_str(), 0711);
  const absl::Status status = server.Start();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(PrivateServer, SaysWhichVersionMadeTheData) {
  StateFolder folder;
  PrivateServer server = folder.Open();
  ASSERT_TRUE(server.Start().ok());
  ASSERT_TRUE(server.Stop().ok());
  std::ofstream(server.data_folder() + "/PG_VERSION") << "9\n";
  const absl::Status status = server.Start();
  EXPECT_NE(status.message().find("PostgreSQL 9"), absl::string_view::npos) << status;
}

// The caller's pipe must see its end although the server lives on, and so does the server.
TEST(PrivateServer, OutlivesItsStarterAndHoldsNoneOfItsFiles) {
  StateFolder folder;
  int channel[2];
  ASSERT_EQ(pipe(channel), 0);
  const pid_t starter = fork();
  if (starter == 0) {
    dup2(channel[1], STDOUT_FILENO);
    dup2(channel[1], STDERR_FILENO);
    dup2(channel[1], 77);  // a descriptor that some library forgot to close
    _exit(folder.Open().Start().ok() ? 0 : 1);
  }
  close(channel[1]);
  char buffer[256];
  while (read(channel[0], buffer, sizeof(buffer)) > 0) {
  }
  int status = 0;
  waitpid(starter, &status, 0);
  close(channel[0]);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(folder.Open().answers());
}

TEST(TemporaryServer, IsGoneWithItsOwnerAndTakesExtraRules) {
  std::string state;
  {
    absl::StatusOr<TemporaryServer> server = TemporaryServer::Create(
        {.durable = false, .hba_lines = {"local all asked scram-sha-256"}, .settings = {}});
    ASSERT_TRUE(server.ok()) << server.status();
    state = (*server)->state_dir();
    absl::StatusOr<TemporaryServer> second = TemporaryServer::Create();
    ASSERT_TRUE(second.ok()) << "several side by side";
    EXPECT_EQ(Ask((*second)->conninfo(), "SHOW fsync"), "off");
    Ask((*server)->conninfo(), "CREATE ROLE asked LOGIN");
    EXPECT_NE(Ask((*server)->conninfo() + " user=asked", "SELECT 1").find("password"),
              std::string::npos);
  }
  EXPECT_FALSE(fs::exists(state));
}

TEST(ServerPrograms, ParsesVersions) {
  EXPECT_EQ(ParseServerMajor("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"), 15);
  EXPECT_EQ(ParseServerMajor("postgres (PostgreSQL) 18beta1"), 18);
  EXPECT_EQ(ParseServerMajor("postgres"), 0);
}

}  // namespace
}  // namespace spanring::dev
