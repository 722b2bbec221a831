import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "@peekaboo/files";
import { encodeSafetensors } from "@peekaboo/files/safetensors";
import { some, type Trial, tryAll } from "./command.js";
import { type Faults, Tally } from "./tally.js";

/** Texts that would steer a terminal, hide, turn around or flood what is shown. */
const TEXTS: Readonly<Record<string, string>> = {
  "an escape": "a\u001b]0;owned\u0007\u001b[2J",
  "an eight-bit escape": "a\u009b31m",
  "another line": "a\nall is well\r",
  "text turned around": "a\u202egnp.b\u2066",
  "five megabytes": "x".repeat(5_000_000),
  "a megabyte of escapes": "\u001b".repeat(1_000_000),
};

const DEEP: Readonly<Record<string, string>> = {
  "deep lists": `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
  "deep objects": `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`,
  "deep and never closed": '[{"a":'.repeat(100_000),
};

/** Texts of files, folders, the command line and the environment that a person is shown, and JSON too deep to go down into. */
export async function texts(faults: Faults, checkpoint: string): Promise<Tally[]> {
  const { folder, quick, seed, say } = faults;
  const place = join(folder, "texts");
  mkdirSync(place);
  const groups: [string, readonly Trial[], number][] = [
    ["texts that steer or flood", [...inCheckpoints(place, checkpoint), ...inRuns(place), ...elsewhere(place)], 20],
    ["deep JSON", deepJson(place, checkpoint), 9],
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

let files = 0;

function written(place: string, content: Uint8Array | string, ending: string): string {
  const path = join(place, `${files++}${ending}`);
  writeFileSync(path, content);
  return path;
}

type Contents = ReturnType<typeof readSafetensors>;

/** A checkpoint, changed and without the checksums that would tell. */
function changed(place: string, { tensors, metadata }: Contents, change: (own: Contents) => void): string {
  const { checksum: _, checksums: __, ...rest } = metadata;
  const own = { tensors: new Map(tensors), metadata: rest };
  change(own);
  return written(place, Buffer.concat(encodeSafetensors(own.tensors, own.metadata)), ".safetensors");
}

function inCheckpoints(place: string, checkpoint: string): Trial[] {
  const whole = readSafetensors(checkpoint);
  const config = JSON.parse(whole.metadata.config ?? "{}");
  const entry = { dtype: "F32", shape: [1, 1, 1, 1], data: new Uint8Array(4) } as const;
  return Object.entries(TEXTS).flatMap(([what, text]) => {
    const files: Record<string, string> = {
      "a tensor's name": changed(place, whole, ({ tensors }) => tensors.set(`${text}.weight`, entry)),
      "a mask's name": changed(place, whole, ({ tensors }) => tensors.set(`mask.${text}`, entry)),
      "a setting's name": changed(place, whole, ({ metadata }) => {
        metadata.config = JSON.stringify({ ...config, [text]: 1 });
      }),
      "a setting's value": changed(place, whole, ({ metadata }) => {
        metadata.config = JSON.stringify({ ...config, arch: text });
      }),
      progress: changed(place, whole, ({ metadata }) => {
        metadata.progress = JSON.stringify({ epoch: text });
      }),
      "the format": changed(place, whole, ({ metadata }) => {
        metadata.format = text;
      }),
    };
    return Object.entries(files).flatMap(([where, file]) => [
      { name: `inspect ${what} in ${where}`, args: ["inspect", file], statuses: [0, 2] },
      { name: `export ${what} in ${where}`, args: ["export", file] },
      { name: `load ${what} in ${where}`, args: ["train", ...run(place), "--resume", file] },
    ]);
  });
}

const run = (place: string) => ["--savedir", join(place, "runs"), "--exp-name", "none", "--epochs", "1"];

/** The folder of a run with a file of this text. */
function runWith(place: string, name: string, text: string): string {
  const own = join(place, `run-${files++}`);
  mkdirSync(own);
  writeFileSync(join(own, name), text);
  return own;
}

function inRuns(place: string): Trial[] {
  return Object.entries(TEXTS).flatMap(([what, text]) => {
    const configs = {
      name: { [text]: 1 },
      value: { arch: text },
      environment: { environment: { data: { [text]: 1 } } },
    };
    const settings = Object.entries(configs).map(([where, json]) => ({
      name: `reproduce ${what} in a config.json's ${where}`,
      args: ["reproduce", runWith(place, "config.json", JSON.stringify(json))],
    }));
    const lock = runWith(place, "run.lock", JSON.stringify({ host: text }));
    const cases = runWith(place, "cases.json", JSON.stringify([{ name: "a", kind: text, tolerance: 1, params: 1 }]));
    return [
      ...settings,
      { name: `${what} in a lock`, args: ["train", "--savedir", place, "--exp-name", lock.slice(place.length + 1)] },
      { name: `${what} in a golden case`, args: [cases], conformance: true, statuses: [1] },
    ];
  });
}

/** The system takes no argument and no variable of megabytes. */
const LONGEST_ARGUMENT = 100_000;
const LONGEST_NAME = 60;

function elsewhere(place: string): Trial[] {
  return Object.entries(TEXTS).flatMap(([what, whole]) => {
    const text = whole.slice(0, LONGEST_ARGUMENT);
    const images = join(place, `images-${files++}`);
    mkdirSync(join(images, "train", whole.slice(0, LONGEST_NAME)), { recursive: true });
    mkdirSync(join(images, "val"));
    const commands: Record<string, readonly string[]> = {
      "a flag": ["train", `--${text}`],
      "a command": [text],
      "an argument too many": ["inspect", "a", text],
      "a value": ["train", "--epochs", text],
      "a choice": ["train", "--arch", text],
      "a file": ["inspect", text],
      "a folder": ["reproduce", text],
      "an archive": ["data", "cifar10", "--from", text, "--data-folder", join(place, "data")],
      "a data set": ["data", text],
      "a class": ["train", ...run(place), images],
    };
    const variables = {
      name: `${what} in PEEKABOO_DATA`,
      args: ["data", "cifar10"],
      env: { PEEKABOO_DATA: `/proc/${text}` },
    };
    return [...Object.entries(commands).map(([where, args]) => ({ name: `${what} as ${where}`, args })), variables];
  });
}

function deepJson(place: string, checkpoint: string): Trial[] {
  const whole = readSafetensors(checkpoint);
  return Object.entries(DEEP).flatMap(([what, text]) => {
    const inMetadata = ["config", "progress", "imageShape", "numClasses", "checksums"].flatMap((key) => {
      const file = changed(place, whole, ({ metadata }) => {
        metadata[key] = text;
      });
      const statuses = [0, 2];
      return [
        { name: `inspect ${what} in ${key}`, args: ["inspect", file], statuses },
        { name: `load ${what} in ${key}`, args: ["train", ...run(place), "--resume", file] },
      ];
    });
    const setting = changed(place, whole, ({ metadata }) => {
      metadata.config = `{"arch":${text}}`;
    });
    const header = Buffer.from(`{"a":${text}}`);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const lock = runWith(place, "run.lock", text);
    return [
      ...inMetadata,
      { name: `inspect ${what} as a setting`, args: ["inspect", setting] },
      {
        name: `${what} in a header`,
        args: ["inspect", written(place, Buffer.concat([length, header]), ".safetensors")],
      },
      { name: `${what} in config.json`, args: ["reproduce", runWith(place, "config.json", text)] },
      { name: `${what} in a lock`, args: ["train", "--savedir", place, "--exp-name", lock.slice(place.length + 1)] },
      { name: `${what} in cases.json`, args: [runWith(place, "cases.json", text)], conformance: true },
    ];
  });
}
