import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { sharedFolder } from "../../../tests/support/folder.js";
import { checkVersion, diagnoseLoadFailure, loadAddon } from "./loader.js";

const ADDON = fileURLToPath(new URL("../build/Release/torch.node", import.meta.url));
const folder = sharedFolder();

/** The addon with one string of its ELF tables replaced by another of the same length. */
function patchedAddon(name: string, from: string, to: string): string {
  const bytes = readFileSync(ADDON);
  expect(to).toHaveLength(from.length);
  let at = bytes.indexOf(`${from}\0`);
  expect(at).toBeGreaterThan(0);
  for (; at >= 0; at = bytes.indexOf(`${from}\0`, at + 1)) bytes.write(to, at, "latin1");
  return written(name, bytes);
}

function written(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function messageOfLoading(path: string): string {
  try {
    loadAddon(path);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  throw new Error("it loaded");
}

const LIBTORCH = /libtorch_cpu\.so[.\d]*(?=\0)/.exec(readFileSync(ADDON, "latin1"))?.[0] ?? "";

describe("loadAddon", () => {
  it("loads the addon that is built", () => {
    expect(loadAddon<{ version(): string; buildInformation(): string }>(ADDON).version()).toMatch(/^\d+\.\d+\.\d+/);
  });

  it("says that nothing is built, and what builds it", () => {
    const path = join(folder, "absent.node");
    expect(messageOfLoading(path)).toBe(
      `load libtorch: expected a built addon for the addon ${path}, received no such file; build it with \`npm run build\` in the project's folder.`,
    );
  });

  it.runIf(process.platform === "linux")("says that libtorch is missing, and how to get it", () => {
    const absent = LIBTORCH.replace("torch", "wrong");
    const message = messageOfLoading(patchedAddon("missing.node", LIBTORCH, absent));
    expect(message).toContain("expected the libtorch that it was built with");
    expect(message).toContain(`received ${absent}: cannot open shared object file`);
    expect(message).toContain("apt-get install --no-install-recommends libtorch-dev libgloo-dev");
  });

  it.runIf(process.platform === "linux")("says at once, not in the middle of a run, that a function is gone", () => {
    const [name, gone] = ["_ZN2at15set_num_threadsEi", "_ZN2at15set_num_threadsEl"];
    const message = messageOfLoading(patchedAddon("symbol.node", name, gone));
    expect(message).toContain("expected an addon built for this libtorch and this Node");
    expect(message).toContain(`undefined symbol: ${gone}; libtorch or Node changed since: build it again`);
  });

  it.runIf(process.platform === "linux")("tells a file that is no addon", () => {
    expect(messageOfLoading(written("text.node", "no ELF".repeat(100)))).toContain("invalid ELF header");
  });
});

describe("diagnoseLoadFailure", () => {
  it.each([
    ["dlopen(torch.node): Library not loaded: @rpath/libtorch.dylib", "the libtorch that it was built with"],
    ["The module was compiled against NODE_MODULE_VERSION 115", "an addon built for this libtorch and this Node"],
    ["libstdc++.so.6: version `GLIBCXX_3.4.32' not found", "an addon built for this libtorch and this Node"],
    ["something new", "a loadable addon"],
  ])("reads %s", (message, expected) => {
    const error = diagnoseLoadFailure(message, ADDON);
    expect(error.message).toContain(`expected ${expected} for the addon ${ADDON}, received ${message}`);
    expect(error.message).toMatch(/`npm run build`\.$/);
  });
});

describe("checkVersion", () => {
  const addon = (built: string, found: string) => ({
    version: () => built,
    buildInformation: () => `Build settings: BLAS_INFO=generic${found}, USE_CUDA=OFF`,
  });

  it("refuses a libtorch of another minor version, whose symbols may all be there", () => {
    expect(() => checkVersion(addon("1.13.0", ", TORCH_VERSION=1.12.1"), "torch.node")).toThrow(
      "load libtorch: expected the libtorch 1.13.0 that it was built with for the addon torch.node, received libtorch 1.12.1; build it again with `npm run build`.",
    );
  });

  it("accepts another patch release, and a libtorch that does not tell its version", () => {
    for (const found of [", TORCH_VERSION=1.13.1", ""]) {
      expect(() => checkVersion(addon("1.13.0+cpu", found), "torch.node")).not.toThrow();
    }
  });
});
