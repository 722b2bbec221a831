import { closeSync, copyFileSync, ftruncateSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import { readCheckpoint } from "#peekaboo/checkpoint/format";
import { cachePath, dataFolder, readCache, writeCache } from "#peekaboo/data/cache";
import { cifar10 } from "#peekaboo/data/sets/cifar10";
import type { DatasetSource, SplitArrays } from "#peekaboo/data/source";
import { randomOf } from "./random.js";
import { type Faults, Tally } from "./tally.js";
import { missingData } from "./training.js";

/** Undefined when `read` refuses the file by a UserError. */
function undetected(read: (path: string) => unknown, path: string): string | undefined {
  try {
    read(path);
    return "read as if nothing were wrong";
  } catch (error) {
    return error instanceof UserError ? undefined : String(error);
  }
}

interface Subject {
  readonly name: string;
  readonly path: string;
  readonly read: (path: string) => unknown;
  readonly flips: number;
  readonly cuts: number;
}

/** Cuts and flips single bits at random positions of a copy of a file: each must be noticed. */
function damage({ folder, seed, say }: Faults, { name, path, read, flips, cuts }: Subject): Tally {
  const tally = new Tally(`damage ${name}`);
  const random = randomOf(seed, `damage/${name}`);
  const { size } = statSync(path);
  const copy = join(folder, "damaged");
  copyFileSync(path, copy);
  if (undetected(read, copy) === undefined) tally.count("the whole file is refused");
  const descriptor = openSync(copy, "r+");
  const byte = Buffer.alloc(1);
  for (let i = 0; i < flips; i++) {
    const at = random(size);
    const bit = random(8);
    readSync(descriptor, byte, 0, 1, at);
    const original = byte[0] ?? 0;
    writeSync(descriptor, Buffer.of(original ^ (1 << bit)), 0, 1, at);
    const failure = undetected(read, copy);
    tally.count(failure && `bit ${bit} of byte ${at} of ${size}: ${failure}`);
    writeSync(descriptor, Buffer.of(original), 0, 1, at);
  }
  // Shorter and shorter, so that nothing has to be put back.
  const lengths = Array.from({ length: cuts }, () => random(size)).sort((a, b) => b - a);
  for (const length of lengths) {
    ftruncateSync(descriptor, length);
    const failure = undetected(read, copy);
    tally.count(failure && `cut to ${length} of ${size} bytes: ${failure}`);
  }
  closeSync(descriptor);
  tally.note = `${flips} bits flipped, ${cuts} cuts`;
  say(`${tally}`);
  return tally;
}

/** A data set of 240 kB in CIFAR-10's layout. */
function smallCache(folder: string, seed: number): Subject {
  const random = randomOf(seed, "small-cache");
  const split = (count: number) => ({
    images: Uint8Array.from({ length: count * 3072 }, () => random(256)),
    labels: Uint8Array.from({ length: count }, () => random(10)),
  });
  const facts = ({ labels }: SplitArrays) => {
    const histogram = cifar10.classes.map((_, label) => labels.filter((found) => found === label).length);
    return { count: labels.length, histogram, firstLabels: [...labels.subarray(0, 5)] };
  };
  const [train, test] = [split(60), split(20)];
  const source: DatasetSource = { ...cifar10, name: "small", splits: { train: facts(train), test: facts(test) } };
  const path = cachePath(folder, source);
  writeCache(path, source, { train, test });
  return { name: "small data cache", path, read: (file) => readCache(file, source), flips: 200, cuts: 200 };
}

/** Damages a checkpoint, a pruned file and data caches. */
export async function damages(faults: Faults, checkpoint: string, pruned: string): Promise<Tally[]> {
  const positions = faults.quick ? 40 : 200;
  const several = { flips: positions, cuts: positions };
  const subjects: Subject[] = [
    { name: "checkpoint", path: checkpoint, read: readCheckpoint, ...several },
    { name: "pruned file", path: pruned, read: readCheckpoint, ...several },
    { ...smallCache(faults.folder, faults.seed), ...several },
  ];
  if (missingData() === undefined && !faults.quick) {
    const path = cachePath(dataFolder(), cifar10);
    subjects.push({ name: "CIFAR-10's cache", path, read: (file) => readCache(file, cifar10), flips: 8, cuts: 200 });
  }
  return subjects.map((subject) => damage(faults, subject));
}
