// A thread that runs one job after the other: whatever may block and is not JavaScript's to wait for.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

namespace torchjs {

class Lane {
 public:
  Lane();
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // What is run: it must not throw, and ends early once `closing` is set.
  using Job = std::function<void(const std::atomic<bool>& closing)>;

  // Queues a job. Nothing happens once the lane is closed.
  void run(Job job);

  // Drops the jobs that wait, and gives the one at work a moment to end. One that hangs in a system call is left behind
  // with what it holds: it touches nothing of this process until the call returns.
  void close();

  // Lets go of the last hold on something whose end may wait for others, on another thread, and waits a moment itself.
  template <typename Hold>
  static void release(Hold hold) {
    const auto last = std::make_shared<Hold>(std::move(hold));
    apart([last] { *last = Hold(); });
  }

 private:
  static void apart(std::function<void()> end);

  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace torchjs
