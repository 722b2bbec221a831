import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect } from "vitest";
import { it } from "./support/folder.js";

const script = fileURLToPath(new URL("../packages/torch/scripts/find-libtorch.mjs", import.meta.url));

/** A tree as pip installs it: headers, a library that holds these symbols, what CMake is told. */
function makeTorch(folder: string, name: string, { symbols = "", cmake = "", version = "2.5.1" } = {}): string {
  const root = join(folder, name);
  const [major, minor, patch] = version.split(".");
  const files = {
    "include/ATen/ATen.h": "",
    "include/torch/csrc/api/include/torch/version.h": `#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH ${patch}\n`,
    "include/torch/csrc/distributed/c10d/TCPStore.hpp": "",
    "include/torch/csrc/distributed/c10d/ProcessGroupGloo.hpp": "",
    "lib/libtorch_cpu.so": symbols,
    "share/cmake/Torch/TorchConfig.cmake": cmake,
    // Importing it, as it needs other packages, would fail.
    "__init__.py": "raise ImportError('numpy is missing')\n",
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const GLOO = [
  "_ZN4c10d16ProcessGroupGlooC1ERK",
  "_ZN4gloo7Context7getPairEi",
  "_ZN4gloo7Context10setTimeoutENSt",
  "_ZNK4gloo9transport3tcp4Pair7addressEv",
  "_ZNK4gloo9transport3tcp7Address5bytesEv",
  "_ZNK4gloo9transport3tcp7Address3strB5cxx11Ev",
].join("\0");

function node(folder: string, args: readonly string[], environment: NodeJS.ProcessEnv): string {
  return execFileSync(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, ...environment },
    encoding: "utf8",
  });
}

function found(folder: string, libtorch: string, environment: NodeJS.ProcessEnv = {}): Record<string, unknown> {
  const text = node(folder, [script, "describe"], {
    LIBTORCH_CXX11_ABI: undefined,
    ...environment,
    LIBTORCH: libtorch,
  });
  return JSON.parse(text) as Record<string, unknown>;
}

describe("find-libtorch", () => {
  it("takes C++'s version and the strings' ABI from what the libtorch says of itself", ({ folder }) => {
    const old = found(folder, makeTorch(folder, "old", { cmake: 'set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=0")' }));
    expect(old).toMatchObject({ version: "2.5.1", cflags: ["-std=c++17", "-D_GLIBCXX_USE_CXX11_ABI=0"], gloo: false });
    const later = found(folder, makeTorch(folder, "new", { cmake: "    CXX_STANDARD 20\n" }));
    expect(later).toMatchObject({ cflags: ["-std=c++20", "-D_GLIBCXX_USE_CXX11_ABI=1"] });
    // Debian 12's asks for 14, with which our own code isn't written.
    expect(found(folder, makeTorch(folder, "oldest", { cmake: "    CXX_STANDARD 14\n" }))).toMatchObject({
      cflags: ["-std=c++17", "-D_GLIBCXX_USE_CXX11_ABI=1"],
    });
  });

  it("builds Gloo in where libtorch exports what is declared of it, whatever headers the system has", ({ folder }) => {
    const whole = found(folder, makeTorch(folder, "whole", { symbols: GLOO }));
    expect(whole).toMatchObject({ gloo: true });
    expect(whole.cflags).toContain("-I../../torch/native/gloo-declarations");
    expect(whole.libs).not.toContain("-lgloo");
    const partly = found(folder, makeTorch(folder, "partly", { symbols: GLOO.replace("getPair", "getOther") }));
    expect(partly).toMatchObject({ gloo: false });
    const notes = node(folder, [script, "notes"], { LIBTORCH: join(folder, "partly") });
    expect(notes).toMatch(/^the libtorch in .*\/partly has no Gloo that can be used, so --nproc-per-node, .*\n$/);
  });

  it("gives make and the compiler a path without the user's blanks and quotes, by a link that stays", ({ folder }) => {
    const root = makeTorch(folder, `it's "mine" (é) #1 $HOME & co`);
    const words = (kind: string) => node(folder, [script, kind], { LIBTORCH: root }).trim().split("\n");
    const all = [...words("include"), ...words("libs"), ...words("cflags")];
    expect(all.filter((word) => !/^[\w./+=@-]+$/.test(word))).toEqual([`"-Wl,-rpath,'$$ORIGIN/libtorch/lib'"`]);
    expect(readlinkSync(join(folder, "build/Release/libtorch"))).toBe(root);
  });

  it("finds an installed Python torch without importing it, by whichever name Python has", ({ folder }) => {
    const root = makeTorch(folder, "site/torch");
    const bin = join(folder, "bin");
    mkdirSync(bin);
    const python = execFileSync("python3", ["-c", "import sys;print(sys.executable)"], { encoding: "utf8" }).trim();
    writeFileSync(join(bin, "python"), `#!/bin/sh\nexec '${python}' "$@"\n`);
    chmodSync(join(bin, "python"), 0o755);
    const code = `import(${JSON.stringify(script)}).then((m) => console.log(JSON.stringify(m.fromPython())))`;
    const environment = { PATH: bin, PYTHONPATH: join(folder, "site") };
    expect(JSON.parse(node(folder, ["--eval", code], environment))).toEqual({ root, prefix: root });
    expect(JSON.parse(node(folder, ["--eval", code], { PATH: join(folder, "none"), PYTHONPATH: "" }))).toBeNull();
  });

  it("says where LIBTORCH holds none", ({ folder }) => {
    expect(() => found(folder, join(folder, "nothing"))).toThrow(/LIBTORCH=.*nothing holds no include\/ATen\/ATen\.h/);
  });
});
