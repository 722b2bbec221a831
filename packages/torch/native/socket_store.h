// A client of a StoreServer, as a store of c10d's. libtorch's own (TCPStore) listens everywhere, takes as much memory
// as any stranger asks for, waits for strangers when it ends, and takes the process along when the server talks
// nonsense.
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <mutex>
#include <string>
#include <string_view>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "sockets.h"

namespace torchjs {

// Where a store is, how long it may take to connect to it and then to answer a request, and what ends both before.
struct StoreAddress {
  // Numeric.
  std::vector<std::string> hosts;
  uint16_t port;
  std::chrono::milliseconds timeout;
  // What the processes of a job have in common and nobody else knows: 64 characters.
  std::string token;
  // Whether it is libtorch's, which another launcher serves.
  bool foreign = false;
  std::shared_ptr<std::atomic<bool>> stop = std::make_shared<std::atomic<bool>>(false);
};

class SocketStore : public c10d::Store {
 public:
  // Waits until somebody listens there. Throws DistributedFailure with what was found instead of this job's store.
  explicit SocketStore(const StoreAddress& address);

  void set(const std::string& key, const std::vector<uint8_t>& value) override;
  // Waits for it.
  std::vector<uint8_t> get(const std::string& key) override;
  int64_t add(const std::string& key, int64_t value) override;
  bool deleteKey(const std::string& key) override;
  bool check(const std::vector<std::string>& keys) override;
  int64_t getNumKeys() override;
  void wait(const std::vector<std::string>& keys) override;
  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout) override;
  // Another connection. 2.8 and later ask for it, so that it overrides nothing in those before.
  c10::intrusive_ptr<c10d::Store> clone();  // NOLINT(modernize-use-override)

 private:
  struct Answer {
    bool yes;
    std::string value;
  };

  Answer ask(char operation, const std::string& key, std::string_view value = {});
  std::string receiveFrame(const Patience& patience);
  [[noreturn]] void fail(Transfer why);

  const StoreAddress address_;
  std::mutex mutex_;
  Descriptor socket_;
  // Why the connection is of no use any more: what was left unread would be taken for the next answer.
  std::string broken_;
};

}  // namespace torchjs
