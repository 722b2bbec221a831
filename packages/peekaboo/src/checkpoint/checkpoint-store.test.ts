import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type FileContents, nodeBackgroundOperations } from "@peekaboo/files";
import { encodeSafetensors } from "@peekaboo/files/safetensors";
import { expect } from "vitest";
import { withChecksums } from "../../../../tests/support/checksums.js";
import { it } from "../../../../tests/support/folder.js";
import { parseConfig } from "../config/config.js";
import { removeUnfinished, runFolder } from "../runs/run-folder.js";
import { CheckpointStore, readLatest } from "./checkpoint-store.js";
import { CHECKPOINT_FORMAT, readCheckpoint } from "./format.js";
import { BEGINNING } from "./progress.js";

const folder = (savedir: string) => runFolder({ savedir, expName: "." });

const metadata = (step: number) => ({
  format: CHECKPOINT_FORMAT,
  config: JSON.stringify(parseConfig({})),
  progress: JSON.stringify({ ...BEGINNING, step }),
  numClasses: "10",
});

function chunksOf(step: number, checked = true): Uint8Array[] {
  const entry = (fill: number) => ({ dtype: "U8", shape: [40], data: new Uint8Array(40).fill(fill) }) as const;
  const entries = [["a", entry(step)] as const, ["b", entry(step + 1)] as const];
  return encodeSafetensors(entries, checked ? withChecksums(entries, metadata(step)) : metadata(step));
}

function contentsOf(...chunks: Uint8Array[]): FileContents {
  const bytes = Buffer.concat(chunks);
  return { byteLength: bytes.byteLength, writeTo: (file) => file.write(bytes, 0) };
}

const checkpointOf = (step: number) => contentsOf(...chunksOf(step));

async function saved(savedir: string, ...steps: number[]): Promise<CheckpointStore> {
  const store = new CheckpointStore(folder(savedir), 2);
  for (const step of steps) await store.save(checkpointOf(step), step);
  await store.settle();
  return store;
}

const names = (savedir: string) => readdirSync(savedir).sort();
const silent = () => {};

it("keeps the latest and the one before it", async ({ folder: savedir }) => {
  await saved(savedir, 2, 4, 6);
  expect(names(savedir)).toEqual(["checkpoint-4.safetensors", "checkpoint.safetensors"]);
  expect(readLatest(folder(savedir), silent)?.progress.step).toBe(6);
  expect(readCheckpoint(join(savedir, "checkpoint-4.safetensors")).progress.step).toBe(4);
});

it("keeps as many as asked for, and one alone", async ({ folder: savedir }) => {
  const three = new CheckpointStore(folder(savedir), 3);
  for (const step of [1, 2, 3, 10]) await three.save(checkpointOf(step), step);
  await three.settle();
  expect(names(savedir)).toEqual(["checkpoint-2.safetensors", "checkpoint-3.safetensors", "checkpoint.safetensors"]);
  const one = new CheckpointStore(folder(savedir), 1);
  one.adopt(readCheckpoint(folder(savedir).checkpoint));
  await one.save(checkpointOf(12), 12);
  await one.settle();
  expect(names(savedir)).toEqual(["checkpoint.safetensors"]);
});

it("does not count one step's checkpoint twice", async ({ folder: savedir }) => {
  await saved(savedir, 2, 4, 4, 4);
  expect(names(savedir)).toEqual(["checkpoint-2.safetensors", "checkpoint.safetensors"]);
});

it("finds every flipped bit and every cut, and goes back to the checkpoint before", async ({ folder: savedir }) => {
  await saved(savedir, 2, 4);
  const { checkpoint } = folder(savedir);
  const whole = readFileSync(checkpoint);
  for (let position = 0; position < whole.length; position += 3) {
    const damaged = Buffer.from(whole);
    damaged.writeUInt8(whole.readUInt8(position) ^ (1 << (position % 8)), position);
    writeFileSync(checkpoint, damaged);
    const said: string[] = [];
    expect(readLatest(folder(savedir), (text) => said.push(text))?.progress.step, `byte ${position}`).toBe(2);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain("; going back to ");
    expect(said[0]).not.toContain("\n");
  }
  for (const length of [0, 7, 8, 100, whole.length - 1]) {
    writeFileSync(checkpoint, whole.subarray(0, length));
    expect(readLatest(folder(savedir), silent)?.progress.step, `${length} bytes`).toBe(2);
  }
  rmSync(checkpoint);
  expect(readLatest(folder(savedir), silent)?.progress.step, "no latest").toBe(2);
});

it("refuses in one sentence when no checkpoint is whole, and finds none in an empty folder", async ({
  folder: savedir,
}) => {
  expect(readLatest(folder(savedir), silent)).toBeNull();
  await saved(savedir, 2, 4);
  for (const name of names(savedir)) {
    const path = join(savedir, name);
    const bytes = readFileSync(path);
    bytes.writeUInt8(255, bytes.length - 1);
    writeFileSync(path, bytes);
  }
  expect(() => readLatest(folder(savedir), silent)).toThrow(
    /^resume: expected a whole checkpoint for \S+, received 2 damaged ones \(.*another tensor "b"\); put [^\n]*\.$/,
  );
});

it("reads files from before there were checksums, and none that lost them", ({ folder: savedir }) => {
  writeFileSync(folder(savedir).checkpoint, Buffer.concat(chunksOf(3, false)));
  expect(readLatest(folder(savedir), silent)?.progress.step).toBe(3);
  for (const key of ["checksum", "checksums"]) {
    const text = Buffer.concat(chunksOf(3)).toString("latin1").replace(`"${key}":`, `"${key.toUpperCase()}":`);
    writeFileSync(folder(savedir).checkpoint, Buffer.from(text, "latin1"));
    expect(() => readCheckpoint(folder(savedir).checkpoint)).toThrow("agree with their checksums");
  }
});

it("makes the checkpoint that a run went back to the latest, and removes later ones", async ({ folder: savedir }) => {
  await saved(savedir, 2, 4, 6);
  writeFileSync(folder(savedir).checkpoint, "damaged");
  const start = readLatest(folder(savedir), silent);
  if (start === null) throw new TypeError("a checkpoint");
  const store = new CheckpointStore(folder(savedir), 2);
  store.adopt(start);
  expect(names(savedir)).toEqual(["checkpoint.safetensors"]);
  expect(readCheckpoint(folder(savedir).checkpoint).progress.step).toBe(4);
  await store.save(checkpointOf(5), 5);
  expect(names(savedir)).toEqual(["checkpoint-4.safetensors", "checkpoint.safetensors"]);
});

const SYSTEM_CALLS = ["open", "write", "flush", "sync", "rename"] as const;

it.for(SYSTEM_CALLS)(
  "leaves what there was when %s finds the disk full, and tells how much is needed",
  async (call, { folder: savedir }) => {
    await saved(savedir, 2, 4);
    const fail = () => {
      throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    };
    const store = new CheckpointStore(folder(savedir), 2, { ...nodeBackgroundOperations, [call]: fail });
    store.adopt(readCheckpoint(folder(savedir).checkpoint));
    const large = contentsOf(...chunksOf(6), new Uint8Array(3_000_000));
    await expect(store.save(large, 6)).rejects.toThrow(
      /^save checkpoint: expected 3\.0 MB of free space for "\S+checkpoint\.safetensors", received a disk with .* free \(ENOSPC\)/,
    );
    expect(readLatest(folder(savedir), silent)?.progress.step).toBe(4);
    expect(readCheckpoint(join(savedir, "checkpoint-2.safetensors")).progress.step).toBe(2);
    expect(names(savedir).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  },
);

it("has a whole checkpoint at every moment of a save", async ({ folder: savedir }) => {
  await saved(savedir, 2, 4);
  const seen: (number | undefined)[] = [];
  const look = () => void seen.push(readLatest(folder(savedir), silent)?.progress.step);
  const store = new CheckpointStore(folder(savedir), 2, {
    ...nodeBackgroundOperations,
    sync: async (descriptor) => {
      look();
      await nodeBackgroundOperations.sync(descriptor);
    },
    rename: (from, to) => {
      look();
      nodeBackgroundOperations.rename(from, to);
      look();
    },
  });
  store.adopt(readCheckpoint(folder(savedir).checkpoint));
  await store.save(checkpointOf(6), 6);
  expect(seen).toEqual([4, 4, 6, 6]);
});

it.for([1, 2])(
  "finds that a disk did not keep what was written, and keeps the checkpoint before: --keep %i",
  async (keep, { folder: savedir }) => {
    await saved(savedir, 2, 4);
    const spoiling = {
      ...nodeBackgroundOperations,
      write: (descriptor: number, bytes: Uint8Array, position: number) => {
        const spoiled = Uint8Array.from(bytes);
        spoiled[spoiled.length - 5] = (spoiled.at(-5) ?? 0) ^ 8;
        return nodeBackgroundOperations.write(descriptor, spoiled, position);
      },
    };
    const store = new CheckpointStore(folder(savedir), keep, spoiling);
    store.adopt(readCheckpoint(folder(savedir).checkpoint));
    await store.save(checkpointOf(6), 6);
    const sentence =
      /^save checkpoint: expected a file that reads as it was written for .*, received another tensor "b"; /;
    await expect(store.settle()).rejects.toThrow(sentence);
    await expect(store.save(checkpointOf(8), 8)).rejects.toThrow(sentence);
    expect(readLatest(folder(savedir), silent)?.progress.step).toBe(4);
  },
);

it("keeps the one before, and no older one goes, until the new one is verified", async ({ folder: savedir }) => {
  await saved(savedir, 2, 4);
  const store = new CheckpointStore(folder(savedir), 1);
  store.adopt(readCheckpoint(folder(savedir).checkpoint));
  await store.save(checkpointOf(6), 6);
  expect(names(savedir)).toContain("checkpoint-4.safetensors");
  await store.settle();
  expect(names(savedir)).toEqual(["checkpoint.safetensors"]);
});

it("clears away what a killed process left half written, and nothing else", async ({ folder: savedir }) => {
  await saved(savedir, 2);
  writeFileSync(join(savedir, ".writing-77-abc.tmp"), "half");
  removeUnfinished(folder(savedir));
  expect(names(savedir)).toEqual(["checkpoint.safetensors"]);
  expect(existsSync(folder(savedir).checkpoint)).toBe(true);
});
