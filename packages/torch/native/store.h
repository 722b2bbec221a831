// The key-value store through which processes find each other, behind a thread of its own.
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lane.h"
#include "socket_store.h"
#include "store_server.h"

namespace torchjs {

// Connects to the store there.
c10::intrusive_ptr<c10d::Store> openStore(const StoreAddress& address);

// Polls until every key is there, `stopKey` is (none when empty), the time is up, or `closing`; gives the places in
// `keys` of those that are missing. Never c10d's own wait: libtorch 1.13's TCPStore leaves its answer on the connection
// when it times out, to be read as that of the next request.
std::vector<size_t> awaitKeys(c10d::Store& store, const std::vector<std::string>& keys, const std::string& stopKey,
                              std::chrono::milliseconds timeout, const std::atomic<bool>& closing);

// A connection, and the store itself where this process serves it.
struct OpenedStore {
  StoreAddress address;
  std::unique_ptr<StoreServer> server;
  c10::intrusive_ptr<c10d::Store> store;

  void open(bool serve);
};

// A store opened on its lane, where all that is asked of it is asked.
struct StoreClient {
  explicit StoreClient(StoreAddress address);
  ~StoreClient();
  StoreClient(const StoreClient&) = delete;
  StoreClient& operator=(const StoreClient&) = delete;

  std::shared_ptr<OpenedStore> opened = std::make_shared<OpenedStore>();
  Lane lane;
};

}  // namespace torchjs
