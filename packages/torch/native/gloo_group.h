// c10d's Gloo group with what it does not offer: its connections' addresses, and a way to break them off.
#pragma once

#include <gloo/transport/tcp/address.h>

#include <string>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <vector>

namespace torchjs {

class GlooGroup : public c10d::ProcessGroupGloo {
 public:
  using ProcessGroupGloo::ProcessGroupGloo;

  // This process's ends of the connections to a rank, as Gloo prints them.
  std::vector<std::string> addresses(int rank) const;

  // Ends the reading from every connection, upon which Gloo closes it and both ends' waits fail. Its own
  // closeConnections() would leave this end's waits to time out; ending the writing as well, some of them.
  void shutConnections();

 private:
  std::vector<const gloo::transport::tcp::Address*> ends(int rank) const;
};

}  // namespace torchjs
