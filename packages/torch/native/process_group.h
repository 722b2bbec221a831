// A group of processes that compute together: c10d's Gloo or NCCL group, and what is under way in it.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/version.h>

#include <torch/csrc/distributed/c10d/Types.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>
#if TORCH_VERSION_MAJOR >= 2
#include <torch/csrc/distributed/c10d/Backend.hpp>
#else
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#endif

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "errors.h"
#include "store.h"

namespace torchjs {

// What runs collectives: 2.0 made a class of its own of it, with the same functions.
#if TORCH_VERSION_MAJOR >= 2
using Backend = c10d::Backend;
#else
using Backend = c10d::ProcessGroup;
#endif

using WorkPointer = c10::intrusive_ptr<c10d::Work>;

struct GroupOptions {
  std::string backend;
  int rank;
  int size;
  std::chrono::milliseconds timeout;
  // Distinguishes the groups of one store.
  std::string name;
  // The network interface for Gloo ("eth0"), else the host name or address, else what this machine's name resolves to.
  std::string interface;
  std::string hostname;
};

class Group {
 public:
  // The backends that this addon was compiled with.
  static std::vector<std::string> backends();

  // Connects to every other rank, which must be doing the same. Blocks, at most for a few times the time-out.
  static std::shared_ptr<Group> create(const StoreAddress& address, const GroupOptions& options);

  // In-place, on tensors that check() accepts; all may throw DistributedFailure.
  WorkPointer allReduce(const at::Tensor& tensor, c10d::ReduceOp::RedOpType op);
  WorkPointer broadcast(const at::Tensor& tensor, int root);
  WorkPointer allGather(const std::vector<at::Tensor>& outputs, const at::Tensor& input);
  WorkPointer barrier();

  // What the backend asks of a tensor, in words; empty when it is that.
  std::string refusal(const at::Tensor& tensor) const;

  // Waits for a collective; throws DistributedFailure.
  void wait(const WorkPointer& work);

  // What c10d's words for a failure mean, with the rank at fault where they tell. Ends the group: every connection is
  // shut, so that whatever waits for this rank, or here for another, fails now and not when its time is up.
  DistributedFailure failure(const std::string& text);

  // For each rank, this process's ends of its connections there; and the converse for what another rank tells of its.
  std::vector<std::string> ownAddresses(int rank) const;
  void learnAddress(int rank, const std::string& address);

  // Ends the group; what is under way fails. Never to be called by a thread of c10d.
  void close();

  const int rank;
  const int size;
  const std::string backendName;
  const std::chrono::milliseconds timeout;

 private:
  Group(const GroupOptions& options, c10::intrusive_ptr<Backend> backend, std::function<void()> shut);
  WorkPointer start(const std::function<WorkPointer(Backend&)>& run);

  mutable std::mutex mutex_;
  c10::intrusive_ptr<Backend> backend_;
  std::function<void()> shut_;
  std::map<std::string, int> peers_;
  std::vector<std::vector<std::string>> addresses_;
  std::string failed_;
  std::shared_ptr<std::atomic<int>> underWay_ = std::make_shared<std::atomic<int>>(0);
};

}  // namespace torchjs
