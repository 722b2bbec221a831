#ifdef USE_C10D_GLOO

#include "gloo_group.h"

#include <dirent.h>
#include <gloo/context.h>
#include <gloo/transport/pair.h>
#include <gloo/transport/tcp/address.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace torchjs {
namespace {

bool sameEnd(const sockaddr_storage& a, const sockaddr_storage& b) {
  if (a.ss_family != b.ss_family) return false;
  if (a.ss_family == AF_INET) {
    const auto& one = reinterpret_cast<const sockaddr_in&>(a);
    const auto& other = reinterpret_cast<const sockaddr_in&>(b);
    return one.sin_port == other.sin_port && one.sin_addr.s_addr == other.sin_addr.s_addr;
  }
  const auto& one = reinterpret_cast<const sockaddr_in6&>(a);
  const auto& other = reinterpret_cast<const sockaddr_in6&>(b);
  return a.ss_family == AF_INET6 && one.sin6_port == other.sin6_port &&
         std::memcmp(&one.sin6_addr, &other.sin6_addr, sizeof(one.sin6_addr)) == 0;
}

// Shuts the connection of that descriptor, if it is one of `ends`.
void shutIfOneOf(int descriptor, const std::vector<sockaddr_storage>& ends) {
  // A copy, which stays the same connection whatever other threads close and open meanwhile.
  const int copy = ::dup(descriptor);
  if (copy < 0) return;
  sockaddr_storage own{};
  sockaddr_storage peer{};
  socklen_t length = sizeof(own);
  const bool connection =
      ::getsockname(copy, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
      (length = sizeof(peer), ::getpeername(copy, reinterpret_cast<sockaddr*>(&peer), &length) == 0);
  const auto isOwn = [&](const sockaddr_storage& end) { return sameEnd(end, own); };
  if (connection && std::any_of(ends.begin(), ends.end(), isOwn)) ::shutdown(copy, SHUT_RD);
  ::close(copy);
}

// This process's end of a connection, in Gloo's own form, which begins with the system's.
sockaddr_storage systemAddress(const gloo::transport::tcp::Address& address) {
  const std::vector<char> bytes = address.bytes();
  sockaddr_storage own{};
  if (bytes.size() >= sizeof(own)) std::memcpy(&own, bytes.data(), sizeof(own));
  return own;
}

}  // namespace

std::vector<const gloo::transport::tcp::Address*> GlooGroup::ends(int rank) const {
  std::vector<const gloo::transport::tcp::Address*> found;
  for (const auto& context : contexts_) {
    // The devices that libtorch makes are TCP's, with or without TLS.
    const auto& pair = context->getPair(rank);
    if (pair != nullptr) found.push_back(&static_cast<const gloo::transport::tcp::Address&>(pair->address()));
  }
  return found;
}

std::vector<std::string> GlooGroup::addresses(int rank) const {
  std::vector<std::string> found;
  for (const auto* end : ends(rank)) found.push_back(end->str());
  return found;
}

void GlooGroup::shutConnections() {
  std::vector<sockaddr_storage> own;
  for (int rank = 0; rank < getSize(); rank++) {
    for (const auto* end : ends(rank)) own.push_back(systemAddress(*end));
  }
  // Gloo keeps its sockets to itself: they are found by their addresses.
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
  if (folder == nullptr) return;
  std::vector<int> descriptors;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] != '.') descriptors.push_back(std::atoi(entry->d_name));
  }
  for (const int descriptor : descriptors) shutIfOneOf(descriptor, own);
}

}  // namespace torchjs

#endif  // USE_C10D_GLOO
