import { existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import { describe, expect } from "vitest";
import {
  binaryFiles,
  md5Of,
  send,
  serve,
  sheetFiles,
  tinyArrays,
  tinyBinary,
  tinyPackage,
  tinySource,
  withBinary,
  withSheets,
} from "../../../../tests/support/data.js";
import { it } from "../../../../tests/support/folder.js";
import { cachePath } from "./cache.js";
import { datasetStatus, openDataset, openSource } from "./dataset.js";
import { urlArchive } from "./fetch/origins.js";
import type { Candidate, DataProgress } from "./source.js";

const binaryAt = (url: string): Candidate =>
  withBinary(urlArchive({ url, bytes: tinyBinary.length, checksum: md5Of(tinyBinary), files: binaryFiles }));

async function sheetsAt(url: string): Promise<Candidate> {
  const content = await tinyPackage();
  return withSheets(urlArchive({ url, bytes: content.length, checksum: md5Of(content), files: sheetFiles }));
}

/** Serves the two archives under /binary.tgz and /sheets.tgz, and nothing else. */
async function serveBoth() {
  const content = await tinyPackage();
  return serve((request, response) => {
    if (request.url === "/binary.tgz") send(tinyBinary, request, response);
    else if (request.url === "/sheets.tgz") send(content, request, response);
    else response.writeHead(404).end();
  });
}

describe("openSource", () => {
  it("fetches the first candidate, keeps one file, and needs no network afterwards", async ({ folder }) => {
    await using server = await serveBoth();
    const source = tinySource([binaryAt(`${server.url}/binary.tgz`)]);
    const stages: string[] = [];
    const onProgress = ({ stage }: DataProgress) => stages.push(stage);
    const dataset = await openSource(source, { folder, onProgress });
    expect(dataset).toEqual({
      name: "tiny",
      title: "Tiny",
      classes: ["ant", "bee", "cat"],
      mean: [0.1, 0.2, 0.3],
      std: [0.4, 0.5, 0.6],
      augmentation: { padding: 1, flip: false },
      train: { ...tinyArrays.train, count: 6, height: 2, width: 2, channels: 3 },
      test: { ...tinyArrays.test, count: 3, height: 2, width: 2, channels: 3 },
    });
    expect([...new Set(stages)]).toEqual(["download", "unpack", "verify", "store"]);
    expect(readdirSync(folder)).toEqual(["tiny.v1.safetensors"]);
    expect(await openSource(source, { folder, offline: true })).toEqual(dataset);
    expect(server.requests).toEqual(["/binary.tgz"]);
  });

  it("goes on to the next candidate, which gives the same arrays", async ({ folder }) => {
    await using server = await serveBoth();
    const unreachable: DataProgress[] = [];
    const onProgress = (progress: DataProgress) => {
      if (progress.stage === "unreachable") unreachable.push(progress);
    };
    const first = binaryAt(`${server.url}/gone.tgz`);
    const source = tinySource([first, await sheetsAt(`${server.url}/sheets.tgz`)]);
    const { train, test } = await openSource(source, { folder, onProgress });
    expect([train.images, train.labels]).toEqual([tinyArrays.train.images, tinyArrays.train.labels]);
    expect([test.images, test.labels]).toEqual([tinyArrays.test.images, tinyArrays.test.labels]);
    expect(unreachable).toEqual([{ stage: "unreachable", location: first.location, reason: "HTTP status 404" }]);
  });

  it("names all that it tried when nothing can be reached, and leaves nothing behind", async ({ folder }) => {
    await using server = await serveBoth();
    const source = tinySource([binaryAt(`${server.url}/gone.tgz`), binaryAt("http://127.0.0.1:1/refused.tgz")]);
    const opening = openSource(source, { folder });
    await expect(opening).rejects.toThrow(UserError);
    await expect(opening).rejects.toThrow(
      `(${server.url}/gone.tgz: HTTP status 404 | http://127.0.0.1:1/refused.tgz: connect ECONNREFUSED 127.0.0.1:1)`,
    );
    await expect(opening).rejects.toThrow(`copy tiny.v1.safetensors from another machine into ${folder}`);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("goes on with an interrupted download the next time", async ({ folder }) => {
    const controller = new AbortController();
    await using server = await serve((request, response) => {
      if (server.requests.length > 1) return send(tinyBinary, request, response);
      response.write(tinyBinary.subarray(0, 100));
    });
    const source = tinySource([binaryAt(`${server.url}/binary.tgz`)]);
    const onProgress = () => controller.abort(new Error("interrupted"));
    await expect(openSource(source, { folder, signal: controller.signal, onProgress })).rejects.toThrow("interrupted");
    expect(existsSync(cachePath(folder, source))).toBe(false);
    await openSource(source, { folder });
    expect(server.requests).toEqual(["/binary.tgz", "/binary.tgz bytes=100-"]);
    expect(readdirSync(folder)).toEqual(["tiny.v1.safetensors"]);
  });

  it("downloads once for all who ask at the same time", async ({ folder }) => {
    await using server = await serveBoth();
    const source = tinySource([binaryAt(`${server.url}/binary.tgz`)]);
    const datasets = await Promise.all([1, 2, 3].map(() => openSource(source, { folder })));
    expect(datasets[2]).toEqual(datasets[0]);
    expect(server.requests).toEqual(["/binary.tgz"]);
  });

  it("asks for the network only when it may", async ({ folder }) => {
    const source = tinySource([binaryAt("http://127.0.0.1:1/never.tgz")]);
    const message = `received none; run \`peekaboo data tiny\` while connected.`;
    await expect(openSource(source, { folder, offline: true })).rejects.toThrow(message);
  });

  it("refuses a damaged file, and fetches it again for who asks for repair", async ({ folder }) => {
    await using server = await serveBoth();
    const source = tinySource([binaryAt(`${server.url}/binary.tgz`)]);
    const { train } = await openSource(source, { folder });
    truncateSync(cachePath(folder, source), 300);
    await expect(openSource(source, { folder })).rejects.toThrow("received a damaged file");
    await expect(openSource(source, { folder, repair: true, offline: true })).rejects.toThrow(
      "received a damaged file",
    );
    expect((await openSource(source, { folder, repair: true })).train).toEqual(train);
    expect((await openSource(source, { folder, offline: true })).train).toEqual(train);
  });

  it("reports a folder that can't be written", async ({ folder }) => {
    await using server = await serveBoth();
    const source = tinySource([binaryAt(`${server.url}/binary.tgz`)]);
    const file = join(folder, "file");
    writeFileSync(file, "");
    const opening = openSource(source, { folder: join(file, "data") });
    await expect(opening).rejects.toThrow(UserError);
    await expect(opening).rejects.toThrow("set PEEKABOO_DATA to another folder");
  });
});

describe("openDataset", () => {
  it("suggests the nearest name for an unknown one", async ({ folder }) => {
    const opening = openDataset("cifr10", { folder, offline: true });
    await expect(opening).rejects.toThrow('received "cifr10"; did you mean cifar10?');
  });

  it("knows a data set under its usual spellings", async ({ folder }) => {
    for (const name of ["cifar10", "CIFAR10", "CIFAR-10"]) {
      await expect(openDataset(name, { folder, offline: true })).rejects.toThrow("run `peekaboo data cifar10`");
    }
    const fashion = openDataset("Fashion-MNIST", { folder, offline: true });
    await expect(fashion).rejects.toThrow("run `peekaboo data fashionmnist`");
  });
});

describe("datasetStatus", () => {
  it("tells what there is, and how large what is here", ({ folder }) => {
    const path = join(folder, "cifar10.v1.safetensors");
    const status = { name: "cifar10", title: "CIFAR-10", classes: 10, train: 50_000, test: 10_000, path };
    expect(datasetStatus(folder)[0]).toEqual({ ...status, bytes: undefined });
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, "1234567");
    expect(datasetStatus(folder)[0]).toEqual({ ...status, bytes: 7 });
  });
});
