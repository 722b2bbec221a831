// Where libtorch is, for binding.gyp: LIBTORCH, then the system's own, then an installed Python torch.
// Usage: node find-libtorch.mjs include|libs|cflags   (prints words for gyp, one per line)
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const HEADER = "ATen/ATen.h";

/** A libtorch tree: the folders with its headers and libraries, and the C++ ABI it was built with. */
function fromRoot(root, cxx11Abi) {
  const include = [join(root, "include"), join(root, "include/torch/csrc/api/include")];
  return existsSync(join(root, "include", HEADER)) ? { include, lib: join(root, "lib"), cxx11Abi } : null;
}

function fromPython() {
  const code = "import torch,os;print(os.path.dirname(torch.__file__));print(int(torch._C._GLIBCXX_USE_CXX11_ABI))";
  try {
    const [root, abi] = execFileSync("python3", ["-c", code], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
      .trim()
      .split("\n");
    return fromRoot(root, abi === "1");
  } catch {
    return null;
  }
}

function fromSystem() {
  const root = ["/usr", "/usr/local"].find((prefix) => existsSync(join(prefix, "include", HEADER)));
  if (root === undefined) return null;
  return { include: [join(root, "include/torch/csrc/api/include")], lib: null, cxx11Abi: true };
}

function find() {
  const named = process.env.LIBTORCH;
  if (named) {
    const found = fromRoot(named, process.env.LIBTORCH_CXX11_ABI !== "0");
    if (found === null)
      throw new Error(`LIBTORCH=${named} holds no include/${HEADER}: point it at an unpacked libtorch`);
    return found;
  }
  const found = fromSystem() ?? fromPython();
  if (found === null) {
    throw new Error(
      "libtorch was not found: install Debian's libtorch-dev, or set LIBTORCH to an unpacked libtorch (2.x works)",
    );
  }
  return found;
}

/**
 * Which of c10d's backends can be compiled in: their headers need those of Gloo, or of CUDA and NCCL, which libtorch
 * only brings with it at times. Debian's Gloo is a library of its own, else it is in libtorch.
 */
function findDistributed(include, cuda) {
  const toolkit = process.env.CUDA_HOME ?? "/usr/local/cuda";
  const folders = [...include, "/usr/include", join(toolkit, "include")];
  const has = (...headers) => headers.every((header) => folders.some((folder) => existsSync(join(folder, header))));
  const header = (name) => `torch/csrc/distributed/c10d/${name}.hpp`;
  const gloo = has(header("TCPStore"), header("ProcessGroupGloo"), "gloo/context.h");
  const nccl = cuda && has(header("TCPStore"), header("ProcessGroupNCCL"), "nccl.h", "cuda_runtime.h");
  return {
    flags: [
      ...(gloo || nccl ? ["-DTORCHJS_C10D"] : []),
      ...(gloo ? ["-DUSE_C10D_GLOO"] : []),
      ...(nccl ? ["-DUSE_C10D_NCCL", `-I${join(toolkit, "include")}`] : []),
    ],
    libs: gloo && lib === null ? ["-lgloo"] : [],
  };
}

const { include, lib, cxx11Abi } = find();
const cuda = lib !== null && existsSync(join(lib, "libtorch_cuda.so"));
const distributed = findDistributed(include, cuda);
const words = {
  include,
  cflags: [`-D_GLIBCXX_USE_CXX11_ABI=${cxx11Abi ? 1 : 0}`, ...distributed.flags],
  libs: [
    ...(lib === null ? [] : [`-L${lib}`, `-Wl,-rpath,${lib}`]),
    "-ltorch_cpu",
    "-lc10",
    ...distributed.libs,
    // Nothing refers to a symbol of the CUDA half, so the linker would drop it without this.
    ...(cuda ? ["-Wl,--no-as-needed", "-ltorch_cuda", "-lc10_cuda", "-Wl,--as-needed"] : []),
  ],
}[process.argv[2]];
process.stdout.write(`${words.join("\n")}\n`);
