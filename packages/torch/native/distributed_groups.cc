// Process groups of c10d for JavaScript.
#ifdef TORCHJS_C10D

#include "distributed_calls.h"

namespace torchjs {
namespace {

// groupCreate(store, backend, rank, size, timeoutMs, name, interface, hostname): a promise of the group's number.
Napi::Value groupCreate(const Napi::CallbackInfo& info) {
  const auto client = storeAt(info.Env(), info[0]);
  GroupOptions options;
  options.backend = toText(info[1], {"backend"});
  options.size = static_cast<int>(toInteger(info[3], {"size"}, 1, 1 << 20));
  options.rank = static_cast<int>(toInteger(info[2], {"rank"}, 0, options.size - 1));
  options.timeout = toTimeout(info[4]);
  options.name = toText(info[5], {"name"});
  options.interface = toText(info[6], {"interface"});
  options.hostname = toText(info[7], {"hostname"});
  return ask(info.Env(), *client, "create the process group", [options](OpenedStore& opened, const std::atomic<bool>&) {
    const auto group = Group::create(opened.address, options);
    return [group](Napi::Env env) {
      Distributed& distributed = Distributed::of(env);
      return Napi::Number::New(env, static_cast<double>(distributed.add(distributed.groups, group)));
    };
  });
}

// groupAddresses(group, rank): this process's ends of its connections to that rank.
Napi::Value groupAddresses(const Napi::CallbackInfo& info) {
  const auto group = groupAt(info.Env(), info[0]);
  const int rank = static_cast<int>(toInteger(info[1], {"rank"}, 0, group->size - 1));
  return fromTexts(info.Env(), group->ownAddresses(rank));
}

// groupLearn(group, rank, addresses): what that rank says of its ends of its connections to this one.
Napi::Value groupLearn(const Napi::CallbackInfo& info) {
  const auto group = groupAt(info.Env(), info[0]);
  const int rank = static_cast<int>(toInteger(info[1], {"rank"}, 0, group->size - 1));
  for (const std::string& address : toTexts(info[2], "addresses")) group->learnAddress(rank, address);
  return info.Env().Undefined();
}

Napi::Value groupClose(const Napi::CallbackInfo& info) {
  Distributed& distributed = Distributed::of(info.Env());
  const auto found = distributed.groups.find(toInteger(info[0], {"group"}));
  if (found == distributed.groups.end()) return info.Env().Undefined();
  found->second->close();
  distributed.groups.erase(found);
  return info.Env().Undefined();
}

}  // namespace

void exportGroups(Napi::Object exports) {
  define<groupCreate>(exports, "groupCreate");
  define<groupAddresses>(exports, "groupAddresses");
  define<groupLearn>(exports, "groupLearn");
  define<groupClose>(exports, "groupClose");
}

}  // namespace torchjs

#endif  // TORCHJS_C10D
