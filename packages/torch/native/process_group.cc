#ifdef TORCHJS_C10D

#include "process_group.h"

#include <ATen/ATen.h>
#include <c10/core/ScalarType.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/intrusive_ptr.h>

#include <algorithm>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <utility>

#include "lane.h"
#ifdef USE_C10D_GLOO
#include "gloo_group.h"
#endif
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace torchjs {
namespace {

using Milliseconds = std::chrono::milliseconds;

// What both backends reduce.
constexpr at::ScalarType kDtypes[] = {at::kFloat, at::kDouble, at::kHalf, at::kLong, at::kInt, at::kChar, at::kByte};

#ifdef USE_C10D_GLOO
c10::intrusive_ptr<GlooGroup> makeGloo(const c10::intrusive_ptr<c10d::Store>& store, const GroupOptions& options) {
  auto gloo = c10d::ProcessGroupGloo::Options::create(options.timeout);
  if (!options.interface.empty()) {
    gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(options.interface));
  } else if (!options.hostname.empty()) {
    gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(options.hostname));
  } else {
    gloo->devices.push_back(c10d::ProcessGroupGloo::createDefaultDevice());
  }
  return c10::make_intrusive<GlooGroup>(store, options.rank, options.size, gloo);
}
#endif

#ifdef USE_C10D_NCCL
c10::intrusive_ptr<Backend> makeNccl(const c10::intrusive_ptr<c10d::Store>& store, const GroupOptions& options) {
  auto nccl = c10d::ProcessGroupNCCL::Options::create();
  nccl->timeout = options.timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, options.rank, options.size, nccl);
}
#endif

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

std::vector<std::string> Group::backends() {
  std::vector<std::string> names;
#ifdef USE_C10D_GLOO
  names.emplace_back("gloo");
#endif
#ifdef USE_C10D_NCCL
  names.emplace_back("nccl");
#endif
  return names;
}

Group::Group(const GroupOptions& options, c10::intrusive_ptr<Backend> backend, std::function<void()> shut)
    : rank(options.rank),
      size(options.size),
      backendName(options.backend),
      timeout(options.timeout),
      backend_(std::move(backend)),
      shut_(std::move(shut)) {}

std::shared_ptr<Group> Group::create(const StoreAddress& address, const GroupOptions& options) {
  // A connection of its own: a wait of c10d's that times out spoils the one it is made on.
  const auto store = c10::make_intrusive<c10d::PrefixStore>("group/" + options.name, openStore(address));
#ifdef USE_C10D_GLOO
  if (options.backend == "gloo") {
    const auto gloo = makeGloo(store, options);
    // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): the constructor is private
    std::shared_ptr<Group> group(new Group(options, gloo, [raw = gloo.get()] { raw->shutConnections(); }));
    for (int rank = 0; rank < options.size; rank++) {
      group->addresses_.push_back(rank == options.rank ? std::vector<std::string>() : gloo->addresses(rank));
    }
    return group;
  }
#endif
#ifdef USE_C10D_NCCL
  if (options.backend == "nccl") {
    return std::shared_ptr<Group>(new Group(options, makeNccl(store, options), [] {}));
  }
#endif
  throw DistributedFailure("this addon was built without the backend " + options.backend);
}

std::string Group::refusal(const at::Tensor& tensor) const {
  const bool nccl = backendName == "nccl";
  if (nccl != tensor.is_cuda() || !(nccl || tensor.is_cpu())) {
    return nccl ? "a tensor on a CUDA device (NCCL's)" : "a tensor on the CPU (Gloo's)";
  }
  if (tensor.layout() != at::kStrided) return "a dense tensor";
  const auto* end = std::end(kDtypes);
  if (std::find(std::begin(kDtypes), end, tensor.scalar_type()) == end) {
    return "a tensor of float32, float64, float16, int64, int32, int8 or uint8";
  }
  return tensor.is_contiguous() ? "" : "a contiguous tensor (call contiguous() first)";
}

WorkPointer Group::start(const std::function<WorkPointer(Backend&)>& run) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!failed_.empty()) throw DistributedFailure("the process group ended before, when " + failed_);
  if (!backend_.defined()) throw DistributedFailure("the process group was destroyed");
  WorkPointer work = run(*backend_);
  ++*underWay_;
  work->getFuture()->addCallback([count = underWay_](c10::ivalue::Future&) { --*count; });
  return work;
}

WorkPointer Group::allReduce(const at::Tensor& tensor, c10d::ReduceOp::RedOpType op) {
  return start([&](Backend& backend) {
    std::vector<at::Tensor> tensors{tensor.detach()};
    c10d::AllreduceOptions options;
    options.reduceOp = op;
    options.timeout = timeout;
    return backend.allreduce(tensors, options);
  });
}

WorkPointer Group::broadcast(const at::Tensor& tensor, int root) {
  return start([&](Backend& backend) {
    std::vector<at::Tensor> tensors{tensor.detach()};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.timeout = timeout;
    return backend.broadcast(tensors, options);
  });
}

WorkPointer Group::allGather(const std::vector<at::Tensor>& outputs, const at::Tensor& input) {
  return start([&](Backend& backend) {
    std::vector<std::vector<at::Tensor>> all{outputs};
    std::vector<at::Tensor> inputs{input.detach()};
    c10d::AllgatherOptions options;
    options.timeout = timeout;
    return backend.allgather(all, inputs, options);
  });
}

WorkPointer Group::barrier() {
  return start([&](Backend& backend) {
    c10d::BarrierOptions options;
    options.timeout = timeout;
    // NCCL would guess a device of each rank by its number.
    if (backendName == "nccl") {
      options.device_ids = {c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).getDevice().index()};
    }
    return backend.barrier(options);
  });
}

void Group::wait(const WorkPointer& work) {
  try {
    // The time-out that counts is the operation's own.
    work->wait();
  } catch (const std::exception& error) {
    throw failure(error.what());
  }
}

DistributedFailure Group::failure(const std::string& text) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<int> ranks;
  for (const auto& [address, peer] : peers_) {
    if (contains(text, address.c_str())) ranks.push_back(peer);
  }
  std::string message = oneSentence(text);
  if (contains(text, "Timed out") || contains(text, "timeout") || contains(text, "timed out")) {
    message = "not every rank took part within " + std::to_string(timeout.count()) + " ms";
  } else if (contains(text, "losed") || contains(text, "reset") || contains(text, "Broken pipe")) {
    message = (ranks.empty() ? "another rank" : "rank " + std::to_string(ranks.front())) + " closed its connection";
  }
  if (failed_.empty() && backend_.defined()) shut_();
  if (failed_.empty()) failed_ = message;
  return DistributedFailure(message, ranks);
}

std::vector<std::string> Group::ownAddresses(int other) const {
  return other < static_cast<int>(addresses_.size()) ? addresses_[other] : std::vector<std::string>();
}

void Group::learnAddress(int other, const std::string& address) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!address.empty()) peers_[address] = other;
}

void Group::close() {
  c10::intrusive_ptr<Backend> backend;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!backend_.defined()) return;
    // c10d's destructor waits for what is under way; what is not, ends in order, with the last bytes sent.
    if (*underWay_ > 0) shut_();
    backend.swap(backend_);
  }
  // Gloo can miss that a connection broke in the middle of a send, and then waits until its time is up: not here.
  Lane::release(std::move(backend));
}

}  // namespace torchjs

#endif  // TORCHJS_C10D
