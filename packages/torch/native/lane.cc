#include "lane.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "denormals.h"

namespace torchjs {
namespace {

// How long the end of something may hold up who ends it.
constexpr auto kPatience = std::chrono::seconds(2);

}  // namespace

struct Lane::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> jobs;
  std::atomic<bool> closing{false};
  bool ended = false;

  void work() {
    // The threads that begin in a job, as Gloo's, which add what ranks send, begin with this.
    const FlushDenormals flush;
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return closing || !jobs.empty(); });
      if (closing) break;
      auto job = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      job(closing);
      job = nullptr;
      lock.lock();
    }
    ended = true;
    changed.notify_all();
  }
};

Lane::Lane() : state_(std::make_shared<State>()) {
  std::thread([state = state_] { state->work(); }).detach();
}

Lane::~Lane() { close(); }

void Lane::run(Job job) {
  {
    std::lock_guard<std::mutex> lock(state_->mutex);
    if (state_->closing) return;
    state_->jobs.push_back(std::move(job));
  }
  state_->changed.notify_all();
}

void Lane::close() {
  std::deque<Job> dropped;
  std::unique_lock<std::mutex> lock(state_->mutex);
  state_->closing = true;
  dropped.swap(state_->jobs);
  state_->changed.notify_all();
  state_->changed.wait_for(lock, kPatience, [&] { return state_->ended; });
}

void Lane::apart(std::function<void()> end) {
  std::promise<void> ended;
  auto soon = ended.get_future();
  std::thread([end = std::move(end), done = std::move(ended)]() mutable {
    end();
    end = nullptr;
    done.set_value();
  }).detach();
  soon.wait_for(kPatience);
}

}  // namespace torchjs
