#ifdef TORCHJS_C10D

#include "store.h"

#include <c10/util/intrusive_ptr.h>

#include <algorithm>
#include <cstddef>
#include <thread>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "errors.h"

namespace torchjs {
namespace {

constexpr auto kFirstPause = std::chrono::milliseconds(1);
constexpr auto kLongestPause = std::chrono::milliseconds(50);

// Debian's libtorch 2 is built without libuv, and refuses its own default; 1.13 has no such field.
template <typename Options>
auto withoutLibuv(Options& options, int /*preferred*/) -> decltype(void(options.useLibUV)) {
  options.useLibUV = false;
}
template <typename Options>
void withoutLibuv(Options& /*options*/, long /*otherwise*/) {}

// The store of torchrun speaks libtorch's own protocol.
c10::intrusive_ptr<c10d::TCPStore> openForeign(const StoreAddress& address, bool serve) {
  c10d::TCPStoreOptions options;
  options.port = address.port;
  options.isServer = serve;
  options.waitWorkers = false;
  options.timeout = address.timeout;
  withoutLibuv(options, 0);
  auto store = c10::make_intrusive<c10d::TCPStore>(address.hosts.front(), options);
  // A get sets the time that this connection waits for any answer from then on; before the first, it is endless.
  const std::string key = "reached";
  store->set(key, std::vector<uint8_t>{1});
  store->get(key);
  return store;
}

}  // namespace

c10::intrusive_ptr<c10d::Store> openStore(const StoreAddress& address) {
  if (address.foreign) return openForeign(address, false);
  return c10::make_intrusive<SocketStore>(address);
}

std::vector<size_t> awaitKeys(c10d::Store& store, const std::vector<std::string>& keys, const std::string& stopKey,
                              std::chrono::milliseconds timeout, const std::atomic<bool>& closing) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  std::vector<size_t> missing(keys.size());
  for (size_t i = 0; i < keys.size(); i++) missing[i] = i;
  for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    const auto there = [&](size_t i) { return store.check({keys[i]}); };
    missing.erase(std::remove_if(missing.begin(), missing.end(), there), missing.end());
    if (missing.empty() || closing || std::chrono::steady_clock::now() >= end) return missing;
    if (!stopKey.empty() && store.check({stopKey})) return missing;
    std::this_thread::sleep_for(pause);
  }
}

void OpenedStore::open(bool serve) {
  if (address.foreign) {
    const auto opened = openForeign(address, serve);
    address.port = opened->getPort();
    store = opened;
    return;
  }
  if (serve) {
    server = std::make_unique<StoreServer>(address.hosts, address.port, address.token);
    address.hosts = server->hosts();
    address.port = server->port();
  }
  store = openStore(address);
}

StoreClient::StoreClient(StoreAddress address) { opened->address = std::move(address); }

StoreClient::~StoreClient() {
  *opened->address.stop = true;
  lane.close();
  // libtorch's own may wait for its threads.
  if (opened->address.foreign) Lane::release(std::move(opened));
}

}  // namespace torchjs

#endif  // TORCHJS_C10D
