#ifdef TORCHJS_C10D

#include "store.h"

#include <algorithm>
#include <thread>

namespace torchjs {
namespace {

constexpr auto kFirstPause = std::chrono::milliseconds(1);
constexpr auto kLongestPause = std::chrono::milliseconds(50);

}  // namespace

c10::intrusive_ptr<c10d::TCPStore> openStore(const StoreAddress& address, bool serve) {
  c10d::TCPStoreOptions options;
  options.port = address.port;
  options.isServer = serve;
  options.waitWorkers = false;
  options.timeout = address.timeout;
  auto store = c10::make_intrusive<c10d::TCPStore>(address.host, options);
  // A get sets the time that this connection waits for any answer from then on; before the first, it is endless.
  const std::string key = "reached";
  store->set(key, {1});
  store->get(key);
  return store;
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

}  // namespace torchjs

#endif  // TORCHJS_C10D
