// Sockets on which nothing waits for ever: every wait has an end, and ends early where its process does.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace torchjs {

using Clock = std::chrono::steady_clock;

// A file descriptor that closes with its owner; -1 is none.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;

  int number() const { return number_; }
  bool defined() const { return number_ >= 0; }

 private:
  int number_;
};

// When a wait ends, and what ends it before.
struct Patience {
  Clock::time_point end;
  std::shared_ptr<const std::atomic<bool>> stop;

  bool over() const { return *stop || Clock::now() >= end; }
  Patience atMost(std::chrono::milliseconds time) const;
  // Sleeps, but no longer than it lasts.
  void sleep(std::chrono::milliseconds time) const;
};

// The name of a system call's error: "ECONNREFUSED".
std::string errorName(int error);

// A socket that listens at a numeric address, or -1 with `error` set. "::" takes IPv4 as well.
Descriptor listenAt(const std::string& host, uint16_t port, int* error);
uint16_t portOf(const Descriptor& socket);
// The next connection that waits, if one does; -1 with `error` set otherwise.
Descriptor acceptAt(const Descriptor& listener, int* error);

// A connection to a numeric address, or -1 with `error` set (ETIMEDOUT when the patience is over).
Descriptor connectTo(const std::string& host, uint16_t port, const Patience& patience, int* error);

enum class Transfer { done, closed, late };

Transfer sendAll(const Descriptor& socket, std::string_view bytes, const Patience& patience);
Transfer receiveAll(const Descriptor& socket, char* bytes, size_t count, const Patience& patience);

}  // namespace torchjs
