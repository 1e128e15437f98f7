// Where any thread leaves what belongs to one thread, which takes all of it at once.
// Threads: Push from any; TakeAll by the owner.
// Memory: links the nodes themselves; never allocates.
// Errors: none.
// Design: docs/memory-model.md
#pragma once

#include "ring/sync.h"

namespace spanring::ring {

// Node has a member `Node* next`, which the stack uses while it holds the node.
template <typename Sync, typename Node>
class ReturnStack {
 public:
  void Push(Node* node) noexcept {
    // relaxed: a stale head only makes the exchange below fail, and gives the newer one.
    Node* head = head_.load(std::memory_order_relaxed);
    do {
      Sync::WillWrite(&node->next, sizeof(node->next));
      node->next = head;
      // release: pairs with the acquire in TakeAll, so that the owner reuses the node after our
      // last access. No ABA: a push never reads what the head points to. relaxed, where it fails:
      // as above.
    } while (!head_.compare_exchange_weak(head, node, std::memory_order_release,
                                          std::memory_order_relaxed));
  }

  // For the owner, a hint: a push may be under way.
  bool IsEmpty() const noexcept {
    // relaxed: nothing is followed; TakeAll acquires.
    return head_.load(std::memory_order_relaxed) == nullptr;
  }

  // The newest first, linked by `next`; nullptr when there are none.
  Node* TakeAll() noexcept {
    // acquire: pairs with the release in Push. Of several pushes, the later ones go on with the
    // release sequence of the earlier.
    return head_.exchange(nullptr, std::memory_order_acquire);
  }

 private:
  typename Sync::template Atomic<Node*> head_{nullptr};
};

}  // namespace spanring::ring
