#include "fault/stress_faults.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace spanring::test {

using std::chrono::milliseconds;

const std::vector<Faults::Kind>& Faults::Kinds() {
  static const std::vector<Kind> kinds = {
      {14, "program: kill -9", &Faults::KillProgram},
      {2, "program: ended in order", &Faults::EndProgram},
      {5, "program: fork", &Faults::ForkProgram},
      {4, "program: frozen (SIGSTOP)", &Faults::FreezeProgram},
      {4, "program: journal cannot be written", &Faults::CloseJournal},
      {6, "backend: terminated", &Faults::TerminateBackend},
      {2, "backend: kill -9, all restart", &Faults::KillBackend},
      {2, "server: kill -9", &Faults::KillServer},
      {3, "server: frozen (SIGSTOP)", &Faults::FreezeServer},
      {3, "server: trace_spans locked", &Faults::LockTable},
      {3, "server: rights revoked", &Faults::RevokeRights},
      {4, "line: reset", &Faults::ResetLines},
      {8, "line: cut after some bytes", &Faults::CutAmid},
      {8, "line: answer to a commit lost", &Faults::LoseAnswer},
      {4, "line: half-open", &Faults::Swallow},
      {3, "line: late", &Faults::Delay},
      {3, "line: slow", &Faults::Slow},
      {4, "line: refused", &Faults::Refuse},
      {3, "pooler: kill -9", &Faults::KillPooler},
      {3, "pooler: put in front, taken away", &Faults::Reroute},
  };
  return kinds;
}

Faults::Faults(World* world, std::uint64_t seed, std::string only,
               std::function<void(std::size_t)> journal_failed)
    : world_(world),
      only_(std::move(only)),
      journal_failed_(std::move(journal_failed)),
      random_(seed) {}

Faults::~Faults() {
  for (Due& one : due_) one.undo();
  for (Job& job : jobs_) job.thread.join();
}

int Faults::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), 0,
                         [](int sum, const auto& one) { return sum + one.second; });
}

void Faults::Inject() {
  std::vector<Kind> kinds;
  std::vector<int> weights;
  for (const Kind& kind : Kinds()) {
    if (std::string_view(kind.name).find(only_) == std::string_view::npos) continue;
    kinds.push_back(kind);
    weights.push_back(kind.weight);
  }
  if (kinds.empty()) return;
  std::discrete_distribution<std::size_t> choose(weights.begin(), weights.end());
  // What cannot be now, since its like is under way or there is nobody to suffer it, gives its turn
  // to another.
  for (int i = 0; i < 5; ++i) {
    const Kind& kind = kinds[choose(random_)];
    detail_.clear();
    if ((this->*kind.inject)()) return Count(kind.name);
  }
}

void Faults::Count(const std::string& kind) {
  ++counts_[kind];
  world_->Say(absl::StrCat("fault: ", kind, " ", detail_));
}

void Faults::Later(milliseconds pause, std::function<bool()> undo) {
  due_.push_back({Clock::now() + pause, std::move(undo)});
}

void Faults::OnThread(std::function<void()> job) {
  auto done = std::make_shared<std::atomic<bool>>(false);
  jobs_.push_back({std::thread([job = std::move(job), done] {
                     job();
                     done->store(true, std::memory_order_release);  // release: pairs in Tick.
                   }),
                   done});
}

void Faults::Tick(Clock::time_point now) {
  for (auto it = due_.begin(); it != due_.end();) {
    if (it->when > now) {
      ++it;
    } else if (it->undo()) {
      it = due_.erase(it);
    } else {
      it->when = now + milliseconds(200);
      ++it;
    }
  }
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    if (!it->done->load(std::memory_order_acquire)) {  // acquire: pairs with the release above.
      ++it;
      continue;
    }
    it->thread.join();
    it = jobs_.erase(it);
  }
}

void Faults::End() {
  while (!due_.empty() || !jobs_.empty()) {
    for (Due& one : due_) one.when = {};
    Tick(Clock::now());
    std::this_thread::sleep_for(milliseconds(20));
  }
  for (const std::size_t i : {0, 1}) {
    world_->proxy(i).WhenServerSays("-", FaultyProxy::Fault::kCut, 0);
    world_->proxy(i).SetMode(FaultyProxy::Mode::kRefuse);  // Who is cut off ends.
    world_->proxy(i).SetMode(FaultyProxy::Mode::kPass);
  }
  StartServer();
}

}  // namespace spanring::test
