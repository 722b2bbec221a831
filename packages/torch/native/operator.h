// An operator of the c10 dispatcher, looked up once.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <string>
#include <vector>

namespace torchjs {

struct Operator {
  // How one returned value reaches JavaScript.
  struct Return {
    // The argument that it is the same tensor as (in-place operators), or -1.
    int argument;
    // An integer that numbers an element type.
    bool dtype;
  };

  Operator(std::string fullName, const c10::OperatorHandle& found);

  std::string name;
  c10::OperatorHandle handle;
  std::vector<Return> returns;
};

}  // namespace torchjs
