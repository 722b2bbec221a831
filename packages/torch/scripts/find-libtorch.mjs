// Where libtorch is, for binding.gyp: LIBTORCH, then the system's own, then an installed Python torch.
// Usage: node find-libtorch.mjs include|libs|cflags   words for gyp, one a line, run in the package's folder
//        node find-libtorch.mjs describe              which one it is and all that the build takes from it
//        node find-libtorch.mjs notes                 what its user should know of it, a sentence a line
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const HEADER = "ATen/ATen.h";
const API = "torch/csrc/api/include";

/**
 * A link to a libtorch from elsewhere, in the folder of the library that is built. Compilers and make are given no other
 * path, since a user's may hold blanks and quotes; and there the library finds libtorch when it is loaded.
 */
const LINK = "build/Release/libtorch";

/**
 * A libtorch. `root`: its tree, null for the system's, whose folders the compiler knows; `prefix`: what its headers,
 * CMake files and libraries are found under, from here.
 */
function fromRoot(root) {
  return existsSync(join(root, "include", HEADER)) ? { root, prefix: root } : null;
}

function fromSystem() {
  const prefix = ["/usr", "/usr/local"].find((folder) => existsSync(join(folder, "include", HEADER)));
  return prefix === undefined ? null : { root: null, prefix };
}

/** Python's torch, found without importing it, which would take seconds and need all that it depends on. */
export function fromPython() {
  const code = "import importlib.util as u;print(u.find_spec('torch').submodule_search_locations[0])";
  for (const python of ["python3", "python"]) {
    try {
      const output = execFileSync(python, ["-c", code], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
      const found = fromRoot(output.trim());
      if (found !== null) return found;
    } catch {
      // No such interpreter, or one without torch.
    }
  }
  return null;
}

function find() {
  const named = process.env.LIBTORCH;
  if (named) {
    const found = fromRoot(named);
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

/** The text of a file under one of the folders, empty where none has it. */
function textOf(folders, name) {
  const path = folders.map((folder) => join(folder, name)).find(existsSync);
  return path === undefined ? "" : readFileSync(path, "utf8");
}

/** What a libtorch says of itself in the file by which CMake finds it: which C++ it is for, and the ABI of its strings. */
export function settingsOf({ prefix, root }) {
  const folders = root === null ? [...systemLibraries(prefix), join(prefix, "share")] : [join(prefix, "share")];
  const text = textOf(folders, "cmake/Torch/TorchConfig.cmake");
  const asked = Number(/CXX_STANDARD (\d+)/.exec(text)?.[1] ?? 17);
  const abi = process.env.LIBTORCH_CXX11_ABI ?? /_GLIBCXX_USE_CXX11_ABI=(\d)/.exec(text)?.[1] ?? "1";
  return { standard: Math.max(17, asked), cxx11Abi: abi === "0" ? 0 : 1 };
}

/** The folders of a Debian or another distribution's libraries. */
function systemLibraries(prefix) {
  const triplet = `${{ x64: "x86_64", arm64: "aarch64" }[process.arch] ?? process.arch}-linux-gnu`;
  return [join(prefix, "lib", triplet), join(prefix, "lib64"), join(prefix, "lib")];
}

/** Whether a library exports all these symbols; grep reads its table faster than Node its hundreds of megabytes. */
function exportsAll(library, symbols) {
  const env = { ...process.env, LC_ALL: "C" };
  return symbols.every((symbol) => spawnSync("grep", ["-q", "-a", "-F", "-e", symbol, library], { env }).status === 0);
}

/** The libraries that one needs and this machine hasn't, as those of CUDA where only libtorch was installed. */
export function missingLibraries(library) {
  const { stdout } = spawnSync("ldd", [library], { encoding: "utf8" });
  return [...(stdout ?? "").matchAll(/^\s*(\S+) => not found$/gm)].map(([, name]) => name);
}

/** The symbols of Gloo that native/gloo-declarations declares. */
const GLOO_SYMBOLS = [
  "_ZN4c10d16ProcessGroupGlooC1E",
  "_ZN4gloo7Context7getPairEi",
  "_ZN4gloo7Context10setTimeoutE",
  "_ZNK4gloo9transport3tcp4Pair7addressEv",
  "_ZNK4gloo9transport3tcp7Address5bytesEv",
  "_ZNK4gloo9transport3tcp7Address3strB5cxx11Ev",
];

/**
 * Which of c10d's backends can be compiled in. Gloo is a library of its own in Debian, with headers of the same release;
 * elsewhere it is inside libtorch, without headers, and whatever others are installed may not fit: there the addon has
 * its own declarations of what libtorch exports. NCCL needs its header and CUDA's.
 */
function findDistributed({ root }, include, cuda) {
  const toolkit = process.env.CUDA_HOME ?? "/usr/local/cuda";
  const has = (folders, ...headers) =>
    headers.every((header) => folders.some((folder) => existsSync(join(folder, header))));
  const folders = [...include, "/usr/include"];
  const header = (name) => `torch/csrc/distributed/c10d/${name}.hpp`;
  const store = has(folders, header("TCPStore"), header("ProcessGroupGloo"));
  const own = root !== null && store && exportsAll(join(root, "lib/libtorch_cpu.so"), GLOO_SYMBOLS);
  const gloo = own || (root === null && store && has(folders, "gloo/context.h"));
  const cudaFolders = [...folders, join(toolkit, "include")];
  const nccl = cuda && has(cudaFolders, header("TCPStore"), header("ProcessGroupNCCL"), "nccl.h", "cuda_runtime.h");
  return {
    gloo,
    flags: [
      ...(gloo || nccl ? ["-DTORCHJS_C10D"] : []),
      ...(gloo ? ["-DUSE_C10D_GLOO"] : []),
      // From the folder in which make compiles, which is the package's build/.
      ...(own ? ["-I../../torch/native/gloo-declarations"] : []),
      ...(nccl ? ["-DUSE_C10D_NCCL", `-I${join(toolkit, "include")}`] : []),
    ],
    libs: gloo && !own ? ["-lgloo"] : [],
  };
}

function headerFolders({ root, prefix }) {
  const all = [join(prefix, "include"), join(prefix, "include", API)];
  return root === null ? all.slice(1) : all;
}

function describe(libtorch) {
  const { root } = libtorch;
  const include = headerFolders(libtorch);
  const cudaLibrary = root === null ? null : join(root, "lib/libtorch_cuda.so");
  const withCuda = cudaLibrary !== null && existsSync(cudaLibrary);
  const missing = withCuda ? missingLibraries(cudaLibrary) : [];
  const cuda = withCuda && missing.length === 0;
  const { standard, cxx11Abi } = settingsOf(libtorch);
  const distributed = findDistributed(libtorch, include, cuda);
  const linked = root === null ? include : [`${LINK}/include`, `${LINK}/include/${API}`];
  return {
    root,
    version: versionIn(include),
    missing,
    gloo: distributed.gloo,
    include: linked,
    cflags: [`-std=c++${standard}`, `-D_GLIBCXX_USE_CXX11_ABI=${cxx11Abi}`, ...distributed.flags],
    libs: [
      // make links in build/. Two dollar signs are make's way to write one, the quotes keep it from the shell.
      ...(root === null ? [] : ["-LRelease/libtorch/lib", `"-Wl,-rpath,'$$ORIGIN/libtorch/lib'"`]),
      "-ltorch_cpu",
      "-lc10",
      ...distributed.libs,
      // Nothing refers to a symbol of the CUDA half, so the linker would drop it without this.
      ...(cuda ? ["-Wl,--no-as-needed", "-ltorch_cuda", "-lc10_cuda", "-Wl,--as-needed"] : []),
    ],
  };
}

function versionIn(include) {
  const text = textOf(include, "torch/version.h") + textOf(include, "torch/headeronly/version.h");
  return ["MAJOR", "MINOR", "PATCH"]
    .map((part) => new RegExp(`TORCH_VERSION_${part} (\\d+)`).exec(text)?.[1] ?? "?")
    .join(".");
}

function makeLink(root) {
  rmSync(LINK, { force: true });
  mkdirSync(join(LINK, ".."), { recursive: true });
  symlinkSync(realpathSync(root), LINK);
}

function notes({ root, missing, gloo }) {
  const of = root === null ? "the system's libtorch" : `the libtorch in ${root}`;
  return [
    ...(missing.length === 0
      ? []
      : [
          `${of} is one for CUDA, but these libraries of CUDA's are missing: ${missing.join(", ")}; it gets the CPU alone.`,
        ]),
    ...(gloo
      ? []
      : [`${of} has no Gloo that can be used, so --nproc-per-node, which needs it on CPUs, isn't built in.`]),
  ];
}

function main(word) {
  const found = describe(find());
  if (found.root !== null && (word === "include" || word === "libs")) makeLink(found.root);
  if (word === "describe") return [JSON.stringify(found)];
  return word === "notes" ? notes(found) : found[word];
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  for (const line of main(process.argv[2])) process.stdout.write(`${line}\n`);
}
