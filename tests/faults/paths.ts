import { execFileSync } from "node:child_process";
import { copyFileSync, ftruncateSync, mkdirSync, openSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import sharp from "sharp";
import { some, type Trial, tryAll } from "./command.js";
import { type Faults, Tally } from "./tally.js";

/** Makes what is no file at a path. */
const KINDS: Readonly<Record<string, (path: string) => void>> = {
  folder: (path) => mkdirSync(path),
  pipe: (path) => void execFileSync("mkfifo", [path]),
  device: (path) => symlinkSync("/dev/zero", path),
  circle: (path) => symlinkSync(basename(path), path),
  nowhere: (path) => symlinkSync("nowhere", path),
};

/** Files and folders that have no end, can't be made or aren't what they seem, wherever a path can be given. */
export async function paths(faults: Faults, checkpoint: string): Promise<Tally[]> {
  const { folder, quick, seed, say } = faults;
  const place = join(folder, "paths");
  mkdirSync(place);
  const groups: [string, readonly Trial[], number][] = [
    ["locks that are none", locks(place), 4],
    ["a run's files that are none", runFiles(place), 28],
    ["folders that can't be made", folders(place), 20],
    ["inputs that are no files", inputs(place), 32],
    ["outputs that are no files", outputs(place, checkpoint), 7],
    ["image folders of links", await imageFolders(place), 6],
  ];
  const tallies: Tally[] = [];
  for (const [name, trials, every] of groups) {
    const tally = new Tally(name);
    await tryAll(tally, some(trials, quick, every, seed));
    say(`${tally}`);
    tallies.push(tally);
  }
  return tallies;
}

const made = (place: string, ...names: string[]) => {
  const path = join(place, ...names);
  mkdirSync(path, { recursive: true });
  return path;
};

function locks(place: string): Trial[] {
  return Object.entries(KINDS).flatMap(([kind, make]) => {
    make(join(made(place, "locks", kind), "run.lock"));
    const data = made(place, "data-locks", kind);
    make(join(data, "cifar10.lock"));
    return [
      { name: `run.lock: ${kind}`, args: ["train", "--savedir", join(place, "locks"), "--exp-name", kind] },
      { name: `cifar10.lock: ${kind}`, args: ["data", "cifar10", "--data-folder", data] },
    ];
  });
}

const RUN_FILES = ["config.json", "metrics.jsonl", "checkpoint.safetensors", "best.safetensors", "pruned.safetensors"];

function runFiles(place: string): Trial[] {
  const { nowhere: _, ...kinds } = KINDS;
  return [...RUN_FILES, "run.svg", "checkpoint-3.safetensors"].flatMap((file) =>
    Object.entries(kinds).map(([kind, make]) => {
      const name = `${file}-${kind}`;
      make(join(made(place, "runs", name), file));
      return { name: `${file}: ${kind}`, args: ["train", "--savedir", join(place, "runs"), "--exp-name", name] };
    }),
  );
}

function folders(place: string): Trial[] {
  writeFileSync(join(place, "file"), "");
  for (const [kind, make] of Object.entries(KINDS)) if (kind !== "folder") make(join(place, `a-${kind}`));
  const below = ["file", "a-pipe", "a-device", "a-circle", "a-nowhere"].map((name) => join(place, name, "x"));
  const places = ["/proc/x", "/proc/self/x/y", "/sys/x", "/dev/null/x", join(place, "n".repeat(300)), ...below];
  const unset = { PEEKABOO_DATA: undefined, XDG_CACHE_HOME: undefined };
  return places.flatMap((path) => [
    { name: `--savedir ${path}`, args: ["train", "--savedir", path] },
    { name: `PEEKABOO_DATA=${path}`, args: ["data", "cifar10"], env: { PEEKABOO_DATA: path } },
    { name: `XDG_CACHE_HOME=${path}`, args: ["data", "cifar10"], env: { ...unset, XDG_CACHE_HOME: path } },
    { name: `HOME=${path}`, args: ["data", "cifar10"], env: { ...unset, HOME: path } },
  ]);
}

function inputs(place: string): Trial[] {
  const own = made(place, "inputs");
  for (const [kind, make] of Object.entries(KINDS)) make(join(own, kind));
  const sparse = join(own, "sparse");
  const size = ftruncateLargest(sparse);
  const files = [...Object.keys(KINDS).map((kind) => join(own, kind)), sparse, "/proc/self/mem", "/dev/stdin"];
  return files.flatMap((file) => {
    const commands: Record<string, string[]> = {
      inspect: ["inspect", file],
      evaluate: ["evaluate", file],
      export: ["export", file],
      reproduce: ["reproduce", file],
      "--resume": ["train", "--savedir", own, "--exp-name", "resumed", "--resume", file],
      "--from": ["data", "cifar10", "--from", file, "--data-folder", join(own, "data")],
      "--dataset imagefolder": ["train", "--savedir", own, "--exp-name", "images", file],
    };
    const what = file === sparse ? `${size} bytes of nothing` : basename(file);
    return Object.entries(commands).map(([command, args]) => ({ name: `${command} ${what}`, args }));
  });
}

/** Makes a file as large as the file system lets it, which takes no room. */
function ftruncateLargest(path: string): number {
  const descriptor = openSync(path, "w");
  for (let size = Number.MAX_SAFE_INTEGER; ; size /= 2) {
    try {
      ftruncateSync(descriptor, Math.floor(size));
      return Math.floor(size);
    } catch (error) {
      if (size < 2 ** 30) throw error;
    }
  }
}

function outputs(place: string, checkpoint: string): Trial[] {
  const own = made(place, "outputs");
  const copy = join(own, "checkpoint.safetensors");
  copyFileSync(checkpoint, copy);
  const { nowhere: _, ...kinds } = KINDS;
  const targets = Object.entries(kinds).map(([kind, make]) => {
    make(join(own, kind));
    return join(own, kind);
  });
  return [...targets, join(own, "none/x"), "/proc/x", join(copy, "x")].flatMap((path) => [
    { name: `prune to ${path}`, args: ["prune", "--pruner", "SynFlow", "--pruned-save-name", path] },
    { name: `export to ${path}`, args: ["export", copy, "--force", "--output", path] },
  ]);
}

/** Folders of one small image a class, whose links lead to one another, out of the folder and nowhere. */
async function imageFolders(place: string): Promise<Trial[]> {
  const image = await sharp({ create: { width: 8, height: 8, channels: 3, background: "#a63" } })
    .png()
    .toBuffer();
  const fresh = (name: string) => {
    const own = made(place, "images", name);
    for (const split of ["train", "val"]) {
      for (const label of ["a", "b"]) writeFileSync(join(made(own, split, label), "0.png"), image);
    }
    return own;
  };
  const linked: Record<string, (own: string) => void> = {
    "nine folders that lead to one another": (own) => {
      const names = Array.from({ length: 9 }, (_, i) => `f${i}`);
      for (const from of names) {
        for (const to of names) symlinkSync(`../${to}`, join(made(own, "train/a", from), to));
      }
    },
    "links that double sixty times": (own) => {
      for (let i = 0; i < 60; i++) {
        for (const side of ["l", "r"]) symlinkSync(`../d${i + 1}`, join(made(own, "deep", `d${i}`), side));
      }
      made(own, "deep/d60");
      symlinkSync("../../deep/d0", join(own, "train/a/deep"));
    },
    "links to all that is above": (own) => {
      for (const [i, up] of [".", "..", "../..", "/"].entries()) symlinkSync(up, join(own, "train/a", `up${i}`));
    },
    "a link to /proc": (own) => symlinkSync("/proc", join(own, "train/a/proc")),
    "links to nothing and in a circle": (own) => {
      for (const kind of ["circle", "nowhere"]) KINDS[kind]?.(join(own, "train/a", kind));
    },
    "what is no file, called like an image": (own) => {
      for (const [kind, make] of Object.entries(KINDS)) make(join(own, "train/a", `${kind}.png`));
    },
  };
  const flags = ["--arch", "resnet18", "--width", "0.1", "--image-size", "32", "--epochs", "1", "--max-steps", "1"];
  return Object.entries(linked).map(([name, link], i) => {
    const own = fresh(`${i}`);
    link(own);
    const run = ["--savedir", join(place, "trained"), "--exp-name", `${i}`, "--bs", "2", "--on-bad-image", "skip"];
    return { name, args: ["train", ...flags, ...run, "--workers", "1", own], statuses: [0, 2] };
  });
}
