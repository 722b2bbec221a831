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

const { include, lib, cxx11Abi } = find();
const cuda = lib !== null && existsSync(join(lib, "libtorch_cuda.so"));
const words = {
  include,
  cflags: [`-D_GLIBCXX_USE_CXX11_ABI=${cxx11Abi ? 1 : 0}`],
  libs: [
    ...(lib === null ? [] : [`-L${lib}`, `-Wl,-rpath,${lib}`]),
    "-ltorch_cpu",
    "-lc10",
    // Nothing refers to a symbol of the CUDA half, so the linker would drop it without this.
    ...(cuda ? ["-Wl,--no-as-needed", "-ltorch_cuda", "-lc10_cuda", "-Wl,--as-needed"] : []),
  ],
}[process.argv[2]];
process.stdout.write(`${words.join("\n")}\n`);
