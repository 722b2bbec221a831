#ifdef TORCHJS_C10D

#include "sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <thread>
#include <utility>

namespace torchjs {
namespace {

using std::chrono::milliseconds;

// How soon a wait notices that its process ends.
constexpr milliseconds kSlice(50);
constexpr int kBacklog = 1024;

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* pointer() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// Of digits alone: asking a name service can take any time.
bool toAddress(const std::string& host, uint16_t port, Address* address) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return false;
  std::memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
  address->length = found->ai_addrlen;
  ::freeaddrinfo(found);
  return true;
}

Descriptor makeSocket(const Address& address) {
  return Descriptor(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void setFlag(const Descriptor& socket, int level, int option, int value) {
  ::setsockopt(socket.number(), level, option, &value, sizeof(value));
}

// Whether the socket became ready before the patience was over.
bool await(const Descriptor& socket, short events, const Patience& patience) {
  while (!patience.over()) {
    const auto left = std::chrono::duration_cast<milliseconds>(patience.end - Clock::now()) + milliseconds(1);
    pollfd one{socket.number(), events, 0};
    if (::poll(&one, 1, static_cast<int>(std::min<milliseconds>(left, kSlice).count())) > 0) return true;
  }
  return false;
}

// Repeats `step`, which gives what it moved or -1 with errno, until `count` are through.
template <typename Step>
Transfer transfer(const Descriptor& socket, size_t count, short events, const Patience& patience, Step step) {
  for (size_t done = 0; done < count;) {
    const ssize_t moved = step(done);
    if (moved > 0) {
      done += static_cast<size_t>(moved);
    } else if (moved < 0 && (errno == EAGAIN || errno == EINTR)) {
      if (!await(socket, events, patience)) return Transfer::late;
    } else {
      return Transfer::closed;
    }
  }
  return Transfer::done;
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

Patience Patience::atMost(milliseconds time) const { return {std::min(end, Clock::now() + time), stop}; }

void Patience::sleep(milliseconds time) const {
  for (const Patience until = atMost(time); !until.over();) {
    std::this_thread::sleep_for(std::min<Clock::duration>(kSlice, until.end - Clock::now()));
  }
}

std::string errorName(int error) {
  switch (error) {
    case EACCES:
      return "EACCES";
    case EADDRINUSE:
      return "EADDRINUSE";
    case EADDRNOTAVAIL:
      return "EADDRNOTAVAIL";
    case ECONNREFUSED:
      return "ECONNREFUSED";
    case ECONNRESET:
      return "ECONNRESET";
    case EHOSTUNREACH:
      return "EHOSTUNREACH";
    case ENETUNREACH:
      return "ENETUNREACH";
    case ETIMEDOUT:
      return "no answer";
    default:
      return std::strerror(error);
  }
}

Descriptor listenAt(const std::string& host, uint16_t port, int* error) {
  Address address;
  *error = EADDRNOTAVAIL;
  if (!toAddress(host, port, &address)) return Descriptor();
  Descriptor socket = makeSocket(address);
  setFlag(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.storage.ss_family == AF_INET6) setFlag(socket, IPPROTO_IPV6, IPV6_V6ONLY, host == "::" ? 0 : 1);
  if (socket.defined() && ::bind(socket.number(), address.pointer(), address.length) == 0 &&
      ::listen(socket.number(), kBacklog) == 0) {
    return socket;
  }
  *error = errno;
  return Descriptor();
}

uint16_t portOf(const Descriptor& socket) {
  Address address;
  address.length = sizeof(address.storage);
  ::getsockname(socket.number(), reinterpret_cast<sockaddr*>(&address.storage), &address.length);
  return ntohs(address.storage.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_port
                                                     : reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
}

Descriptor acceptAt(const Descriptor& listener, int* error) {
  Descriptor socket(::accept4(listener.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  *error = errno;
  if (socket.defined()) setFlag(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  return socket;
}

Descriptor connectTo(const std::string& host, uint16_t port, const Patience& patience, int* error) {
  Address address;
  *error = EADDRNOTAVAIL;
  if (!toAddress(host, port, &address)) return Descriptor();
  Descriptor socket = makeSocket(address);
  *error = errno;
  if (!socket.defined()) return socket;
  setFlag(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  if (::connect(socket.number(), address.pointer(), address.length) == 0) return socket;
  *error = errno;
  if (errno != EINPROGRESS) return Descriptor();
  *error = ETIMEDOUT;
  if (!await(socket, POLLOUT, patience)) return Descriptor();
  socklen_t length = sizeof(*error);
  ::getsockopt(socket.number(), SOL_SOCKET, SO_ERROR, error, &length);
  return *error == 0 ? std::move(socket) : Descriptor();
}

Transfer sendAll(const Descriptor& socket, std::string_view bytes, const Patience& patience) {
  return transfer(socket, bytes.size(), POLLOUT, patience, [&](size_t done) {
    return ::send(socket.number(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
  });
}

Transfer receiveAll(const Descriptor& socket, char* bytes, size_t count, const Patience& patience) {
  return transfer(socket, count, POLLIN, patience,
                  [&](size_t done) { return ::recv(socket.number(), bytes + done, count - done, 0); });
}

}  // namespace torchjs

#endif  // TORCHJS_C10D
