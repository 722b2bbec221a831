import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, vi } from "vitest";
import { md5Of, send, serve, sheetFiles, tarOf, tinyPackage } from "../../../../../tests/support/data.js";
import { it } from "../../../../../tests/support/folder.js";
import { type Checksum, hex, sha256 } from "../checksum.js";
import { type FetchContext, SourceUnavailable } from "../source.js";
import { npmArchiveName, npmArchiveUrl, npmPack } from "./npm.js";
import { localFolder, npmArchive, urlFiles } from "./origins.js";

let context: FetchContext;
it.beforeEach(({ folder }) => {
  vi.stubEnv("npm_config_cache", join(folder, "npm-cache"));
  context = { folder, onProgress: () => {}, connectTimeout: 2000, stallTimeout: 2000 };
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const sha512 = (content: Uint8Array) => createHash("sha512").update(content).digest("base64");

function tinyOrigin(content: Uint8Array) {
  const checksum: Checksum = { algorithm: "sha512", encoding: "base64", value: sha512(content) };
  return npmArchive({ package: "tiny-data", version: "1.0.0", bytes: content.length, checksum, files: sheetFiles });
}

/** What a registry tells about the package, with its archive at `tarball`. */
function manifest(tarball: string, content: Uint8Array): string {
  const dist = { tarball, integrity: `sha512-${sha512(content)}` };
  const versions = { "1.0.0": { name: "tiny-data", version: "1.0.0", dist } };
  return JSON.stringify({ name: "tiny-data", "dist-tags": { latest: "1.0.0" }, versions });
}

describe("npmArchive", () => {
  it("comes from the registry that npm is configured for", async () => {
    const content = await tinyPackage();
    await using server = await serve((request, response) => send(content, request, response));
    vi.stubEnv("npm_config_registry", `${server.url}/mirror`);
    const files = await tinyOrigin(content).load(context);
    expect(server.requests).toEqual(["/mirror/tiny-data/-/tiny-data-1.0.0.tgz"]);
    expect([...files.keys()].sort()).toEqual(Object.keys(sheetFiles).sort());
  });

  it("is left to npm where the registry keeps its archives elsewhere", async () => {
    const content = await tinyPackage();
    await using server = await serve((request, response) => {
      if (request.url === "/tiny-data") response.end(manifest(`${server.url}/elsewhere.tgz`, content));
      else if (request.url === "/elsewhere.tgz") send(content, request, response);
      else response.writeHead(404).end();
    });
    vi.stubEnv("npm_config_registry", server.url);
    const files = await tinyOrigin(content).load(context);
    expect([...files.keys()].sort()).toEqual(Object.keys(sheetFiles).sort());
  });

  it("refuses what npm brings when it isn't the known package", async ({ folder }) => {
    const content = await tinyPackage();
    const other = tarOf([{ path: "package/package.json", content: '{"name":"tiny-data","version":"1.0.0"}' }]);
    await using server = await serve((request, response) => {
      if (request.url === "/tiny-data") response.end(manifest(`${server.url}/elsewhere.tgz`, other));
      else if (request.url === "/elsewhere.tgz") send(other, request, response);
      else response.writeHead(404).end();
    });
    vi.stubEnv("npm_config_registry", server.url);
    await expect(tinyOrigin(content).load(context)).rejects.toThrow(`its SHA512 is ${sha512(other)} instead of`);
    expect(readdirSync(folder)).toEqual(["npm-cache"]);
  });

  it("tells what both ways ran into", async () => {
    await using server = await serve((_, response) => response.writeHead(403).end());
    vi.stubEnv("npm_config_registry", server.url);
    const loading = tinyOrigin(await tinyPackage()).load(context);
    await expect(loading).rejects.toThrow(/^HTTP status 403; npm: code E403, 403 403 Forbidden/);
  });
});

describe("urlFiles", () => {
  const content = { "a.gz": gzipSync("first"), "b.gz": gzipSync("second") };
  const zipped = Object.fromEntries(
    Object.entries(content).map(([name, bytes]) => [name, { bytes: bytes.length, checksum: md5Of(bytes) }]),
  );
  const files = { a: 5, b: 6 };

  it("downloads each file and unzips it", async () => {
    await using server = await serve((request, response) => {
      send(request.url === "/data/a.gz" ? content["a.gz"] : content["b.gz"], request, response);
    });
    const found = await urlFiles({ base: `${server.url}/data/`, zipped, files }).load(context);
    expect([...found].map(([name, bytes]) => [name, Buffer.from(bytes).toString()])).toEqual([
      ["a", "first"],
      ["b", "second"],
    ]);
    expect(server.requests).toEqual(["/data/a.gz", "/data/b.gz"]);
  });

  it("is unavailable as soon as one file is another", async ({ folder }) => {
    await using server = await serve((request, response) => send(content["a.gz"], request, response));
    const loading = urlFiles({ base: `${server.url}/`, zipped, files }).load(context);
    await expect(loading).rejects.toThrow(SourceUnavailable);
    expect(readdirSync(folder)).toEqual(["a.gz"]);
  });
});

describe("localFolder", () => {
  const content = new TextEncoder().encode("first");
  const origin = (folder: string, name: string) =>
    localFolder({ folder: join(folder, name), files: { a: 5 }, checksums: { a: hex("sha256", sha256(content)) } });
  const put = (folder: string, name: string, bytes: Uint8Array) => {
    mkdirSync(join(folder, "there"), { recursive: true });
    writeFileSync(join(folder, "there", name), bytes);
  };

  it("gives the files that a package put there", async ({ folder }) => {
    put(folder, "a.gz", gzipSync(content));
    const found = await origin(folder, "there").load(context);
    expect(Buffer.from(found.get("a") ?? []).toString()).toBe("first");
  });

  it("is unavailable when it isn't there, or holds nothing, or something else", async ({ folder }) => {
    await expect(origin(folder, "nowhere").load(context)).rejects.toThrow(new SourceUnavailable("no such folder"));
    put(folder, "b", content);
    await expect(origin(folder, "there").load(context)).rejects.toThrow(new SourceUnavailable("it holds no a"));
    const other = new TextEncoder().encode("other");
    put(folder, "a", other);
    const message = `a: SHA256 ${sha256(other)} instead of SHA256 ${sha256(content)}`;
    await expect(origin(folder, "there").load(context)).rejects.toThrow(new SourceUnavailable(message));
    rmSync(join(folder, "there/a"));
    put(folder, "a.gz", content);
    await expect(origin(folder, "there").load(context)).rejects.toThrow(SourceUnavailable);
  });
});

describe("npmPack", () => {
  it("doesn't wait for a registry that stays silent", async () => {
    await using server = await serve(() => {});
    vi.stubEnv("npm_config_registry", server.url);
    const packing = npmPack({ package: "tiny-data", version: "1.0.0" }, { ...context, connectTimeout: 400 });
    await expect(packing).rejects.toThrow("npm: no answer in time");
  });

  it("stops when it is aborted", async () => {
    const controller = new AbortController();
    await using server = await serve(() => controller.abort(new Error("enough")));
    vi.stubEnv("npm_config_registry", server.url);
    const packing = npmPack({ package: "tiny-data", version: "1.0.0" }, { ...context, signal: controller.signal });
    await expect(packing).rejects.toThrow("enough");
  });
});

describe("npmArchiveUrl", () => {
  it("follows the registry's layout, scoped packages too", async () => {
    vi.stubEnv("npm_config_registry", "https://registry.example/npm/");
    const scoped = { package: "@scope/name", version: "2.0.0" };
    expect(await npmArchiveUrl(scoped)).toBe("https://registry.example/npm/@scope/name/-/name-2.0.0.tgz");
    expect(npmArchiveName(scoped)).toBe("scope-name-2.0.0.tgz");
  });

  it("asks npm for its registry where the environment doesn't tell", async () => {
    vi.stubEnv("npm_config_registry", undefined);
    vi.stubEnv("NPM_CONFIG_REGISTRY", "https://other.example/");
    expect(await npmArchiveUrl({ package: "a", version: "1.0.0" })).toBe("https://other.example/a/-/a-1.0.0.tgz");
  });
});
