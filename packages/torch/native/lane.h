// A thread that runs one job after the other: whatever may block and is not JavaScript's to wait for.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

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

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace torchjs
