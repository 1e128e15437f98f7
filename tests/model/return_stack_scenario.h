// Nodes that two threads give back to their owner, over src/ring/return_stack.h, under the model.
// Threads: 1 and 2 give back; 3 is the owner, and gives one back itself, as a signal handler does.
// Memory: of its own. Errors: reported to the explorer.
// Design: docs/memory-model.md#the-model
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "model/explorer.h"
#include "model/model_sync.h"
#include "ring/return_stack.h"

namespace spanring::model {

inline constexpr int kHead = 0;

struct ReturnStackPlan {
  std::size_t pushes_of_first = 1;
  std::size_t pushes_of_second = 1;
  int takes = 2;             // Of the owner, while the others may be at work.
  bool gives_again = false;  // The owner gives the first node that it took once more.
};

struct ReturnStackSeen {
  std::uint64_t both_at_once = 0;  // One TakeAll got nodes of both.
  std::uint64_t again = 0;         // A node was taken, used and given back a second time.
};

class ReturnStackScenario : public Scenario {
 public:
  ReturnStackScenario(const ReturnStackPlan& plan, ReturnStackSeen* seen)
      : plan_(plan), seen_(seen) {}

  std::vector<std::function<void()>> Threads() override {
    return {[this] {
              for (std::size_t i = 0; i < plan_.pushes_of_first; ++i) GiveBack(i);
            },
            [this] {
              for (std::size_t i = 0; i < plan_.pushes_of_second; ++i) GiveBack(kOfSecond + i);
            },
            [this] {
              for (int i = 0; i < plan_.takes; ++i) {
                Node* first = Take();
                if (first == nullptr || !plan_.gives_again || again_ != nullptr) continue;
                again_ = first;
                GiveBack(static_cast<std::size_t>(first - nodes_.data()));
              }
            }};
  }

  void Finish() override {
    Take();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const bool given =
          i < kOfSecond ? i < plan_.pushes_of_first : i - kOfSecond < plan_.pushes_of_second;
      const int expected = (given ? 1 : 0) + (again_ == &nodes_[i] ? 1 : 0);
      Check(taken_[i] == expected, "a node was lost or taken twice");
    }
    if (again_ != nullptr) ++seen_->again;
  }

 private:
  struct Node {
    Node* next = nullptr;
    std::uint64_t content = 0;
  };
  static constexpr std::size_t kOfSecond = 2;

  // The last that a thread does with a node is to clear it.
  void GiveBack(std::size_t i) {
    ModelSync::WillWrite(&nodes_[i].content, sizeof(nodes_[i].content));
    nodes_[i].content = i + 1;
    stack_.Push(&nodes_[i]);
  }

  // Takes all, and uses each as a span that starts does. Gives the newest, taken out of the list.
  Node* Take() {
    Node* const newest = stack_.TakeAll();
    bool first = false;
    bool second = false;
    for (Node* node = newest; node != nullptr;) {
      ModelSync::WillRead(&node->next, sizeof(node->next));
      Node* const next = node->next;
      const auto i = static_cast<std::size_t>(node - nodes_.data());
      (i < kOfSecond ? first : second) = true;
      ModelSync::WillWrite(&node->content, sizeof(node->content));
      Check(node->content == i + 1, "a node was taken that nobody gave back");
      node->content = 0;
      ModelSync::WillWrite(&node->next, sizeof(node->next));
      node->next = node;  // Nothing that a list may follow.
      ++taken_[i];
      node = next;
    }
    if (first && second) ++seen_->both_at_once;
    return newest;
  }

  const ReturnStackPlan& plan_;
  ReturnStackSeen* const seen_;
  ring::ReturnStack<ModelSync, Node> stack_;
  std::array<Node, 2 * kOfSecond> nodes_{};

  // The owner's.
  std::array<int, 2 * kOfSecond> taken_{};
  const Node* again_ = nullptr;
};

inline Report ExploreReturnStack(const ReturnStackPlan& plan, ReturnStackSeen* seen,
                                 const ExploreOptions& options = {}) {
  return Explore([&] { return std::make_unique<ReturnStackScenario>(plan, seen); }, options);
}

}  // namespace spanring::model
