#ifdef TORCHJS_C10D

#include "store_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "errors.h"
#include "store_protocol.h"

namespace torchjs {
namespace {

// How long a connection has to show the token.
constexpr auto kTimeToIntroduce = std::chrono::seconds(10);
// How many may be about to. Each has no more than kMagic and a token in memory.
constexpr int kMostStrangers = 256;
constexpr int kAcceptsATurn = 16;
constexpr size_t kReceivedAtOnce = 1 << 16;
// Of the values, and of what is being sent and received.
constexpr size_t kMostStoredBytes = 256 << 20;
constexpr size_t kMostBufferedBytes = 64 << 20;
// Beside its bytes, what an entry of the map takes.
constexpr size_t kEntryBytes = 128;
constexpr size_t kHelloBytes = kMagic.size() + kTokenBytes;

std::string statusFrame(char status, std::string_view value = {}) {
  return lengthBytes(1 + value.size()) + status + std::string(value);
}

// Takes equally long wherever they differ.
bool sameText(std::string_view one, std::string_view other) {
  unsigned difference = one.size() == other.size() ? 0 : 1;
  for (size_t i = 0; i < std::min(one.size(), other.size()); i++) {
    difference |= static_cast<unsigned char>(one[i] ^ other[i]);
  }
  return difference == 0;
}

template <typename Peers>
size_t bytesOf(const Peers& peers) {
  size_t bytes = 0;
  for (const auto& peer : peers) bytes += peer.bytes();
  return bytes;
}

bool toNumber(std::string_view text, int64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

struct StoreServer::Peer {
  Descriptor socket;
  Clock::time_point since = Clock::now();
  bool admitted = false;
  bool ready = true;
  std::string in;
  std::string out;

  size_t bytes() const { return in.capacity() + out.capacity(); }
};

StoreServer::StoreServer(const std::vector<std::string>& hosts, uint16_t port, std::string token)
    : token_(std::move(token)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  listen(hosts, port);
  thread_ = std::thread([this] { serve(); });
}

StoreServer::~StoreServer() {
  ending_ = true;
  ::eventfd_write(wake_.number(), 1);
  thread_.join();
}

void StoreServer::listen(const std::vector<std::string>& hosts, uint16_t port) {
  port_ = port;
  int error = 0;
  const auto tryAt = [&](const std::string& host, const std::string& own) {
    Descriptor listener = listenAt(host, port_, &error);
    if (!listener.defined()) return false;
    port_ = portOf(listener);
    listeners_.push_back(std::move(listener));
    hosts_.push_back(own);
    return true;
  };
  for (const std::string& host : hosts) {
    if (!tryAt(host, host) && error != EADDRNOTAVAIL && error != EAFNOSUPPORT) {
      throw DistributedFailure(errorName(error));
    }
  }
  if (!listeners_.empty()) return;
  if (!tryAt("::", "127.0.0.1") && !(error == EAFNOSUPPORT && tryAt("0.0.0.0", "127.0.0.1"))) {
    throw DistributedFailure(errorName(error));
  }
}

void StoreServer::serve() {
  while (!ending_) {
    awaitEvents();
    const auto now = Clock::now();
    bufferedBytes_ = bytesOf(peers_);
    peers_.remove_if([&](Peer& peer) {
      if (peer.ready && !advance(peer)) return true;
      return !peer.admitted && now - peer.since > kTimeToIntroduce;
    });
  }
}

// Marks the connections that have something for it, and takes in new ones.
void StoreServer::awaitEvents() {
  std::vector<pollfd> all{{wake_.number(), POLLIN, 0}};
  for (const Descriptor& listener : listeners_) all.push_back({full_ ? -1 : listener.number(), POLLIN, 0});
  bool strangers = full_;
  for (const Peer& peer : peers_) {
    all.push_back({peer.socket.number(), static_cast<short>(peer.out.empty() ? POLLIN : POLLOUT), 0});
    strangers |= !peer.admitted;
  }
  ::poll(all.data(), all.size(), full_ ? 100 : strangers ? 1000 : -1);
  full_ = false;
  auto event = all.begin() + 1 + static_cast<std::ptrdiff_t>(listeners_.size());
  for (Peer& peer : peers_) peer.ready = (event++)->revents != 0;
  for (size_t i = 0; i < listeners_.size(); i++) {
    if (all[1 + i].revents != 0) acceptFrom(listeners_[i]);
  }
}

void StoreServer::acceptFrom(const Descriptor& listener) {
  for (int i = 0; i < kAcceptsATurn; i++) {
    int error = 0;
    Descriptor socket = acceptAt(listener, &error);
    if (!socket.defined()) {
      full_ = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
      if (full_) dropStranger();
      return;
    }
    peers_.emplace_back();
    peers_.back().socket = std::move(socket);
    const auto strange = [](const Peer& peer) { return !peer.admitted; };
    if (std::count_if(peers_.begin(), peers_.end(), strange) > kMostStrangers) dropStranger();
  }
}

// The one that has been silent longest.
void StoreServer::dropStranger() {
  const auto found = std::find_if(peers_.begin(), peers_.end(), [](const Peer& peer) { return !peer.admitted; });
  if (found != peers_.end()) peers_.erase(found);
}

// Drops whoever holds most until the bound is kept again; false when that is `asking`.
bool StoreServer::makeRoom(const Peer& asking) {
  // Until now only what came in has been counted, not what went out.
  if (bufferedBytes_ > kMostBufferedBytes) bufferedBytes_ = bytesOf(peers_);
  const auto smaller = [](const Peer& one, const Peer& other) { return one.bytes() < other.bytes(); };
  while (bufferedBytes_ > kMostBufferedBytes) {
    Peer& largest = *std::max_element(peers_.begin(), peers_.end(), smaller);
    if (&largest == &asking) return false;
    // The next turn takes it away.
    std::string().swap(largest.in);
    std::string().swap(largest.out);
    largest.admitted = false;
    largest.since = Clock::time_point();
    bufferedBytes_ = bytesOf(peers_);
  }
  return true;
}

// Sends, receives and answers as far as that goes now; false when the connection is to be dropped. One answer must be
// on its way before the next request is read.
bool StoreServer::advance(Peer& peer) {
  if (!send(peer)) return false;
  if (!peer.out.empty()) return true;
  if (!receive(peer)) return false;
  do {
    if (!(peer.admitted ? answer(peer) : admit(peer))) return false;
    if (peer.out.empty()) return true;
    if (!send(peer)) return false;
  } while (peer.out.empty());
  return true;
}

bool StoreServer::receive(Peer& peer) {
  const size_t wanted = peer.admitted ? kReceivedAtOnce : kHelloBytes - peer.in.size();
  char chunk[kReceivedAtOnce];
  const ssize_t count = ::recv(peer.socket.number(), chunk, wanted, 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  peer.in.append(chunk, static_cast<size_t>(count));
  bufferedBytes_ += static_cast<size_t>(count);
  return count > 0 && makeRoom(peer);
}

bool StoreServer::admit(Peer& peer) {
  const std::string_view said = peer.in;
  if (said.substr(0, kMagic.size()) != kMagic.substr(0, said.size())) return false;
  if (said.size() < kHelloBytes) return true;
  peer.admitted = sameText(said.substr(kMagic.size()), token_);
  peer.out = std::string(kMagic) + (peer.admitted ? kWelcome : kOtherToken);
  peer.in.clear();
  // So short an answer is sent whole, at once.
  return send(peer) && peer.admitted;
}

bool StoreServer::answer(Peer& peer) {
  const std::string_view said = peer.in;
  if (said.size() < kLengthBytes) return true;
  const size_t length = lengthFrom(said);
  if (length < 1 + kLengthBytes || length > kMostFrameBytes) return false;
  if (said.size() < kLengthBytes + length) return true;
  const std::string_view frame = said.substr(kLengthBytes, length);
  const size_t keyLength = lengthFrom(frame.substr(1));
  const std::string_view rest = frame.substr(1 + kLengthBytes);
  if (keyLength > rest.size()) return false;
  peer.out = handle(frame[0], std::string(rest.substr(0, keyLength)), rest.substr(keyLength));
  bufferedBytes_ += peer.out.size();
  peer.in.erase(0, kLengthBytes + length);
  if (peer.in.capacity() > 2 * kReceivedAtOnce) peer.in.shrink_to_fit();
  return makeRoom(peer);
}

bool StoreServer::send(Peer& peer) {
  if (peer.out.empty()) return true;
  const ssize_t count = ::send(peer.socket.number(), peer.out.data(), peer.out.size(), MSG_NOSIGNAL);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  peer.out.erase(0, static_cast<size_t>(count));
  if (peer.out.empty()) peer.out.shrink_to_fit();
  return true;
}

std::string StoreServer::handle(char operation, const std::string& key, std::string_view value) {
  const auto found = values_.find(key);
  const bool there = found != values_.end();
  switch (operation) {
    case kSet:
      return store(key, std::string(value));
    case kGet:
      return there ? statusFrame(kYes, found->second) : statusFrame(kNo);
    case kAdd:
      return add(key, value);
    case kCheck:
      return statusFrame(there ? kYes : kNo);
    case kCount:
      return statusFrame(kYes, std::to_string(values_.size()));
    case kDelete:
      if (there) {
        storedBytes_ -= key.size() + found->second.size() + kEntryBytes;
        values_.erase(found);
      }
      return statusFrame(there ? kYes : kNo);
    default:
      return statusFrame(kRefused, "the store knows no such request");
  }
}

std::string StoreServer::store(const std::string& key, std::string value) {
  const auto found = values_.find(key);
  const size_t before = found == values_.end() ? 0 : key.size() + found->second.size() + kEntryBytes;
  const size_t after = storedBytes_ - before + key.size() + value.size() + kEntryBytes;
  if (after > kMostStoredBytes) return statusFrame(kRefused, "the store is full");
  storedBytes_ = after;
  values_[key] = std::move(value);
  return statusFrame(kYes);
}

// Numbers are kept as text, as c10d's stores do.
std::string StoreServer::add(const std::string& key, std::string_view value) {
  const auto found = values_.find(key);
  int64_t amount = 0;
  int64_t sum = 0;
  const bool numbers = toNumber(value, &amount) && (found == values_.end() || toNumber(found->second, &sum));
  if (!numbers || __builtin_add_overflow(sum, amount, &sum)) {
    return statusFrame(kRefused, "only whole numbers of 64 bits can be added");
  }
  const std::string stored = store(key, std::to_string(sum));
  return stored[kLengthBytes] == kYes ? statusFrame(kYes, std::to_string(sum)) : stored;
}

}  // namespace torchjs

#endif  // TORCHJS_C10D
