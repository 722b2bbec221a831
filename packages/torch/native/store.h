// c10d's key-value store, through which processes find each other, behind a thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <vector>

#include "lane.h"

namespace torchjs {

// Where a store is, and how long one request to it may take.
struct StoreAddress {
  std::string host;
  uint16_t port;
  std::chrono::milliseconds timeout;
};

// Connects to the store there; `serve`: is the store, on that port (0: any that is free).
c10::intrusive_ptr<c10d::TCPStore> openStore(const StoreAddress& address, bool serve);

// Polls until every key is there, `stopKey` is (none when empty), the time is up, or `closing`; gives the places in
// `keys` of those that are missing. Never c10d's own wait: libtorch 1.13's leaves its answer on the connection when it
// times out, to be read as that of the next request.
std::vector<size_t> awaitKeys(c10d::Store& store, const std::vector<std::string>& keys, const std::string& stopKey,
                              std::chrono::milliseconds timeout, const std::atomic<bool>& closing);

// A connection, made on its lane. All that is asked of the store is asked there.
struct StoreClient {
  using Pointer = c10::intrusive_ptr<c10d::TCPStore>;

  StoreAddress address;
  bool serve;
  std::shared_ptr<Pointer> store = std::make_shared<Pointer>();
  Lane lane;
};

}  // namespace torchjs
