// The store: a map that the processes of a job share, served by a thread of rank 0.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "sockets.h"

namespace torchjs {

// Whoever connects can neither hold it up nor make it large: no read or write waits, who has not shown the job's token
// in time is shown out, and what all of them may store and have under way is bounded.
class StoreServer {
 public:
  // Listens at those of the numeric addresses that are this machine's; at all of this machine's where none is. Throws
  // DistributedFailure with the name of the system's error.
  StoreServer(const std::vector<std::string>& hosts, uint16_t port, std::string token);
  ~StoreServer();
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;

  uint16_t port() const { return port_; }
  // Where this process itself reaches it.
  const std::vector<std::string>& hosts() const { return hosts_; }

 private:
  struct Peer;
  using Peers = std::list<Peer>;

  void listen(const std::vector<std::string>& hosts, uint16_t port);
  void serve();
  void awaitEvents();
  void acceptFrom(const Descriptor& listener);
  void dropStranger();
  bool makeRoom(const Peer& asking);
  bool advance(Peer& peer);
  bool receive(Peer& peer);
  bool admit(Peer& peer);
  bool answer(Peer& peer);
  bool send(Peer& peer);
  std::string handle(char operation, const std::string& key, std::string_view value);
  std::string store(const std::string& key, std::string value);
  std::string add(const std::string& key, std::string_view value);

  const std::string token_;
  std::vector<std::string> hosts_;
  uint16_t port_ = 0;
  std::vector<Descriptor> listeners_;
  // Readable when it is time to end.
  Descriptor wake_;
  std::atomic<bool> ending_{false};
  Peers peers_;
  // While the process has no descriptor left for another connection.
  bool full_ = false;
  std::unordered_map<std::string, std::string> values_;
  size_t storedBytes_ = 0;
  // What lies in the connections' buffers.
  size_t bufferedBytes_ = 0;
  std::thread thread_;
};

}  // namespace torchjs
