import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "@peekaboo/files";
import { devices } from "@peekaboo/torch";
import { cachePath, dataFolder } from "#peekaboo/data/cache";
import { cifar10 } from "#peekaboo/data/sets/cifar10";
import type { Report } from "./report.js";

const BIN = fileURLToPath(new URL("../../../packages/peekaboo/bin/peekaboo.js", import.meta.url));
const NETWORK = "--arch PsgResNet20 --width 0.25 --dataset cifar10 --train-limit 256 --test-limit 128";
const TRAIN = `${NETWORK} --optimizer BOP --ar 1e-2 --tau 1e-6 --psg-no-take-sign --psg-sparsify --msb-bits 8 --msb-bits-grad 16 --bs 32 --lr 0.05 --epochs 3`;

interface Ending {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

function peekaboo(args: string, env: Readonly<Record<string, string>> = {}): Ending {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [...process.execArgv, BIN, ...args.split(" ")],
    {
      encoding: "utf8",
      env: { ...process.env, ...env },
    },
  );
  return { status, signal, stdout, stderr };
}

function tensorsOf(path: string): Map<string, string> {
  const { tensors } = readSafetensors(path);
  return new Map(
    [...tensors].map(([name, { dtype, shape, data }]) => [
      name,
      `${dtype} ${shape} ${Buffer.from(data).toString("base64")}`,
    ]),
  );
}

/** The whole way of a network through the real command line, on the device. */
export async function runs(report: Report): Promise<void> {
  const data = cachePath(dataFolder(), cifar10);
  if (!existsSync(data)) {
    report.skip("prune, train, resume, evaluate", `no ${data}: run \`peekaboo data cifar10\``);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "peekaboo-device-"));
  try {
    wayOfANetwork(report, folder);
    refusals(report, folder);
    outOfMemory(report, folder);
    severalProcesses(report, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function wayOfANetwork(report: Report, folder: string): void {
  const { device } = report;
  const pruned = join(folder, "pruned.safetensors");
  const done = (what: string, args: string): Ending => {
    const end = peekaboo(args);
    const words = end.stderr.trim().split("\n").slice(-2).join(" | ");
    report.must(what, end.status === 0, end.status === 0 ? "exit status 0" : `${end.signal ?? end.status}: ${words}`);
    return end;
  };
  done(
    "prune",
    `prune ${NETWORK} --pruner SynFlow --prune-ratio 0.4 --prune-iters 5 --pruned-save-name ${pruned} --device ${device}`,
  );
  const train = `train ${TRAIN} --resume ${pruned} --savedir ${folder} --device`;
  done("train, 12 steps", `${train} ${device} --exp-name whole --max-steps 12`);
  done("train, 6 steps", `${train} ${device} --exp-name parts --max-steps 6`);
  done("train, resumed to 12", `train ${TRAIN} --savedir ${folder} --device ${device} --exp-name parts --max-steps 12`);
  const [whole, parts] = ["whole", "parts"].map((name) => tensorsOf(join(folder, name, "checkpoint.safetensors")));
  const other = [...(whole ?? [])].filter(([name, text]) => parts?.get(name) !== text).map(([name]) => name);
  report.must(
    "the resumed run's checkpoint",
    other.length === 0,
    `${other.length} of ${whole?.size} tensors differ from the whole run's`,
  );
  const checkpoint = join(folder, "whole", "checkpoint.safetensors");
  const tested = [device, "cpu"].map((own) => {
    const { stdout } = done(`evaluate on ${own}`, `evaluate ${checkpoint} --test-limit 128 --json --device ${own}`);
    return JSON.parse(stdout === "" ? "{}" : stdout) as { loss?: number; accuracy?: number };
  });
  const [there = {}, here = {}] = tested;
  report.atMost("its loss against the CPU's", Math.abs((there.loss ?? Number.NaN) / (here.loss ?? 0) - 1), 1e-4);
  report.atMost(
    "its accuracy against the CPU's, in images",
    Math.abs((there.accuracy ?? Number.NaN) - (here.accuracy ?? 0)) * 1.28,
    1.001,
  );
  done(
    "resumed on the CPU, to 15 steps",
    `train ${TRAIN} --savedir ${folder} --device cpu --exp-name whole --max-steps 15`,
  );
  done(
    "and on the device again, to 18",
    `train ${TRAIN} --savedir ${folder} --device ${device} --exp-name whole --max-steps 18`,
  );
  const { device: recorded } = (
    JSON.parse(readFileSync(join(folder, "whole", "config.json"), "utf8")) as { environment: { device: string } }
  ).environment;
  report.must("config.json tells the device", recorded === device, recorded);
}

function refusals(report: Report, folder: string): void {
  for (const name of ["cuda:99", "mps", "privateuseone:0", "meta"]) {
    const { status, stderr } = peekaboo(`train ${TRAIN} --savedir ${folder} --exp-name refused --device ${name}`);
    const sentence = stderr.trim().split("\n").slice(-1)[0] ?? "";
    report.must(`--device ${name}`, status === 2 && !stderr.includes("    at "), sentence.slice(0, 200));
  }
}

function outOfMemory(report: Report, folder: string): void {
  if (process.env.PEEKABOO_STAND_IN === undefined) {
    report.skip("too large a batch", "only the stand-in's memory has a limit to set");
    return;
  }
  const { status, stderr } = peekaboo(
    `train ${TRAIN} --savedir ${folder} --exp-name large --bs 256 --device ${report.device}`,
    { STAND_IN_BYTES: String(40 * 2 ** 20) },
  );
  const sentence = stderr.trim().split("\n").slice(-1)[0] ?? "";
  report.must("too large a batch", status === 2 && /give --bs \d+, which fits/.test(stderr), sentence.slice(0, 250));
}

function severalProcesses(report: Report, folder: string): void {
  const what = "several processes, by NCCL";
  const gpus = devices().filter((name) => name !== "cpu").length;
  if (process.env.PEEKABOO_STAND_IN !== undefined) {
    report.skip(what, "the stand-in has no NCCL");
    return;
  }
  if (gpus === 0) {
    report.skip(what, "no GPU");
    return;
  }
  const { status, stderr } = peekaboo(
    `train ${TRAIN} --savedir ${folder} --exp-name ranks --max-steps 6 --nproc-per-node ${gpus} --bs ${32 * gpus} --device cuda:0 --dist-backend nccl`,
  );
  const sentence = stderr.trim().split("\n").slice(-1)[0] ?? "";
  if (/nccl\.h/.test(sentence)) {
    report.skip(what, sentence);
    return;
  }
  report.must(`${what}: ${gpus} of them`, status === 0, sentence);
}
