#ifdef TORCHJS_C10D

#include "socket_store.h"

#include <algorithm>

#include "errors.h"
#include "store.h"
#include "store_protocol.h"

namespace torchjs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRetry(200);
// For a connection to come about, before another address is tried.
constexpr milliseconds kConnecting(3'000);
// For a store to say what it is; and for one to come in the place of a program that hangs up, as that of an earlier
// start of the same job does when it ends.
constexpr milliseconds kIntroduction(10'000);
constexpr size_t kChunk = 1 << 16;

// One try to reach the store at one address.
struct Attempt {
  Descriptor socket;
  // What was found instead.
  std::string found;
  enum { reached, nobody, hungUp, stranger } outcome;
};

// A stranger's bytes are looked at one by one and never kept.
Attempt introduce(Descriptor socket, const std::string& token, const Patience& patience) {
  const auto because = [](Transfer why, bool spoke) {
    if (why == Transfer::closed) return Attempt{Descriptor(), "a program that hangs up", Attempt::hungUp};
    const char* found = spoke ? "a program that says something else" : "a program that says nothing";
    return Attempt{Descriptor(), found, Attempt::stranger};
  };
  const Transfer sent = sendAll(socket, std::string(kMagic) + token, patience);
  if (sent != Transfer::done) return because(sent, false);
  char said = 0;
  for (size_t i = 0; i <= kMagic.size(); i++) {
    const Transfer received = receiveAll(socket, &said, 1, patience);
    if (received != Transfer::done) return because(received, i > 0);
    if (i < kMagic.size() && said != kMagic[i]) return because(Transfer::late, true);
  }
  if (said == kWelcome) return {std::move(socket), "", Attempt::reached};
  return {Descriptor(), "the store of another job", Attempt::stranger};
}

Attempt attempt(const std::string& host, const StoreAddress& address, const Patience& patience) {
  int error = 0;
  Descriptor socket = connectTo(host, address.port, patience.atMost(kConnecting), &error);
  if (!socket.defined()) return {Descriptor(), errorName(error), Attempt::nobody};
  return introduce(std::move(socket), address.token, patience.atMost(kIntroduction));
}

Descriptor reach(const StoreAddress& address) {
  Patience patience{Clock::now() + address.timeout, address.stop};
  bool hungUp = false;
  for (;;) {
    std::string found;
    for (const std::string& host : address.hosts) {
      Attempt one = attempt(host, address, patience);
      if (one.outcome == Attempt::reached) return std::move(one.socket);
      if (one.outcome == Attempt::stranger) throw DistributedFailure(one.found);
      if (one.outcome == Attempt::hungUp && !hungUp) {
        hungUp = true;
        patience = patience.atMost(kIntroduction);
      }
      if (found.empty()) found = one.found;
    }
    patience.sleep(kRetry);
    if (!patience.over()) continue;
    if (hungUp) throw DistributedFailure("a program that hangs up");
    throw DistributedFailure("nobody there within " + std::to_string(address.timeout.count()) + " ms (" + found + ")");
  }
}

}  // namespace

SocketStore::SocketStore(const StoreAddress& address)
    : Store(address.timeout), address_(address), socket_(reach(address)) {}

void SocketStore::set(const std::string& key, const std::vector<uint8_t>& value) {
  ask(kSet, key, {reinterpret_cast<const char*>(value.data()), value.size()});
}

std::vector<uint8_t> SocketStore::get(const std::string& key) {
  wait({key});
  const std::string value = ask(kGet, key).value;
  return std::vector<uint8_t>(value.begin(), value.end());
}

int64_t SocketStore::add(const std::string& key, int64_t value) {
  return std::stoll(ask(kAdd, key, std::to_string(value)).value);
}

bool SocketStore::deleteKey(const std::string& key) { return ask(kDelete, key).yes; }

bool SocketStore::check(const std::vector<std::string>& keys) {
  return std::all_of(keys.begin(), keys.end(), [&](const std::string& key) { return ask(kCheck, key).yes; });
}

int64_t SocketStore::getNumKeys() { return std::stoll(ask(kCount, "").value); }

void SocketStore::wait(const std::vector<std::string>& keys) { wait(keys, timeout_); }

void SocketStore::wait(const std::vector<std::string>& keys, const milliseconds& timeout) {
  if (awaitKeys(*this, keys, "", timeout, *address_.stop).empty()) return;
  throw DistributedFailure("timed out waiting for another rank's address");
}

c10::intrusive_ptr<c10d::Store> SocketStore::clone() { return c10::make_intrusive<SocketStore>(address_); }

SocketStore::Answer SocketStore::ask(char operation, const std::string& key, std::string_view value) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!broken_.empty()) throw DistributedFailure(broken_);
  const Patience patience{Clock::now() + timeout_, address_.stop};
  std::string frame = operation + lengthBytes(key.size()) + key;
  frame.append(value);
  if (frame.size() > kMostFrameBytes) throw DistributedFailure("the store takes no more than 4 MB at a time");
  const Transfer sent = sendAll(socket_, lengthBytes(frame.size()) + frame, patience);
  if (sent != Transfer::done) fail(sent);
  const std::string answer = receiveFrame(patience);
  if (answer[0] == kRefused) throw DistributedFailure(answer.substr(1));
  return {answer[0] == kYes, answer.substr(1)};
}

std::string SocketStore::receiveFrame(const Patience& patience) {
  std::string bytes(kLengthBytes, '\0');
  Transfer received = receiveAll(socket_, bytes.data(), kLengthBytes, patience);
  const size_t length = lengthFrom(bytes);
  if (length < 1 || length > kMostFrameBytes) received = Transfer::closed;
  // Memory grows with what comes, not with what is announced.
  for (bytes.clear(); received == Transfer::done && bytes.size() < length;) {
    const size_t from = bytes.size();
    bytes.resize(std::min(length, from + kChunk));
    received = receiveAll(socket_, &bytes[from], bytes.size() - from, patience);
  }
  if (received != Transfer::done) fail(received);
  return bytes;
}

void SocketStore::fail(Transfer why) {
  broken_ = why == Transfer::closed ? "the store has closed the connection" : "the store gave no answer";
  socket_ = Descriptor();
  throw DistributedFailure(broken_);
}

}  // namespace torchjs

#endif  // TORCHJS_C10D
