// A simulated scaling curve: images a second on 1 to 64 devices with the same batch each, from a step's time, the gradients'
// bytes and a ring all-reduce's bandwidth and latency. What isn't given is measured here: a step with one thread, and Gloo's
// all-reduce between two processes over loopback.
// node bench/dist/scaling.js [ARCH=PsgResNet20] [BATCH=64] [--compute SECONDS --bytes BYTES] [--bandwidth GB/S --latency US]
//   [--loader IMAGES/S, of one device's share] [--bucket BYTES=26214400]
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { distributed, setThreads, zeros } from "@peekaboo/torch";
import { freePort } from "#peekaboo/launch/free-port";
import { pabOps } from "#peekaboo/native/library";
import { openBatches } from "./batches.js";
import { type Plant, ringSeconds, simulate } from "./ring.js";
import { machine, median, refuseCollapsed, seconds, spread } from "./statistics.js";
import { stepper } from "./stepper.js";

const LARGE = 25 * 2 ** 20;
const SMALL = 4;
const DEVICES = [1, 2, 4, 8, 16, 32, 64];
const text = { type: "string" } as const;

/** Seconds of an all-reduce between two processes, of each size in turn. */
interface Reduced {
  large: number[];
  small: number[];
}

/** One of the two processes; rank 0 prints the medians. */
async function reduceAsRank(rank: number, port: number): Promise<void> {
  const initMethod = { host: "127.0.0.1", port };
  const group = await distributed.initProcessGroup({ initMethod, rank, worldSize: 2 });
  const time = async (bytes: number, repetitions: number) => {
    const tensor = zeros([bytes / 4], { dtype: "float32" });
    const times: number[] = [];
    for (let i = 0; i < repetitions; i++) {
      await group.barrier();
      const begun = performance.now();
      // As the reducer waits: blocking.
      group.allReduce(tensor).wait();
      times.push((performance.now() - begun) / 1000);
    }
    tensor.dispose();
    return times;
  };
  const reduced: Reduced = { small: await time(SMALL, 201), large: await time(LARGE, 41) };
  if (rank === 0) console.log(JSON.stringify(reduced));
  group.destroy();
}

async function measureReduce(): Promise<Reduced> {
  const port = `${await freePort()}`;
  const script = fileURLToPath(import.meta.url);
  const [first] = [0, 1].map((rank) =>
    spawn(process.execPath, [script, "--reduce-as", `${rank}`, "--port", port], {
      stdio: ["ignore", "pipe", "inherit"],
    }),
  );
  let output = "";
  for await (const chunk of first?.stdout ?? []) output += chunk;
  return JSON.parse(output) as Reduced;
}

async function measureStep(arch: string, batch: number): Promise<{ compute: number; bytes: number }> {
  pabOps().reuseMemory(true);
  setThreads(1);
  const { step, losses, bytes } = stepper(arch, await openBatches(batch), { signs: arch.startsWith("Psg") });
  for (let i = 0; i < 2; i++) step();
  const times = Array.from({ length: 11 }, () => seconds(step));
  refuseCollapsed(losses, arch);
  console.log(`measured: a step ${spread(times)}`);
  return { compute: median(times), bytes };
}

function tell(plant: Plant, title: string): void {
  const { compute, batch, bytes, bandwidth, latency } = plant;
  console.log(title);
  console.log(
    `a step ${(1000 * compute).toFixed(1)} ms on ${batch} images, gradients ${(bytes / 1e6).toFixed(2)} MB, ` +
      `a link ${(bandwidth / 1e9).toFixed(2)} GB/s and ${(1e6 * latency).toFixed(0)} µs`,
  );
  console.log(
    "| devices | all-reduce alone, ms | step, ms | not hidden, ms | images/s | efficiency |\n|---|---|---|---|---|---|",
  );
  const alone = batch / simulate(1, { ...plant, loader: Number.POSITIVE_INFINITY }).seconds;
  for (const devices of DEVICES) {
    const { seconds, exposed, starved } = simulate(devices, plant);
    const rate = (devices * batch) / seconds;
    const milliseconds = [ringSeconds(devices, bytes, plant), seconds, exposed].map((value) =>
      (1000 * value).toFixed(1),
    );
    const efficiency = `${((100 * rate) / (devices * alone)).toFixed(1)} %${starved ? " (waits for images)" : ""}`;
    console.log(`| ${devices} | ${milliseconds.join(" | ")} | ${rate.toFixed(0)} | ${efficiency} |`);
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...{ compute: text, bytes: text, bandwidth: text, latency: text, loader: text, bucket: text },
    ...{ "reduce-as": text, port: text },
  },
});
const [arch = "PsgResNet20", batch = "64"] = positionals;
const number = (value: string | undefined) => (value === undefined ? undefined : Number(value));

if (values["reduce-as"] !== undefined) await reduceAsRank(Number(values["reduce-as"]), Number(values.port));
else {
  const given = { compute: number(values.compute), bytes: number(values.bytes) };
  const measured =
    given.compute === undefined || given.bytes === undefined ? await measureStep(arch, Number(batch)) : null;
  const reduced = values.bandwidth === undefined || values.latency === undefined ? await measureReduce() : null;
  if (reduced !== null) {
    const { large, small } = reduced;
    console.log(
      `measured: all-reduce of 25 MiB ${spread(large, { unit: "ms", digits: 1, times: 1e3 })}, of 4 bytes ${spread(small, { unit: "µs", digits: 0, times: 1e6 })}`,
    );
  }
  // Between two, each sends all bytes once, in two messages.
  const latency = (reduced === null ? 2e-6 * Number(values.latency) : median(reduced.small)) / 2;
  const bandwidth =
    reduced === null ? 1e9 * Number(values.bandwidth) : LARGE / (median(reduced.large) - median(reduced.small));
  const plant: Plant = {
    compute: given.compute ?? measured?.compute ?? Number.NaN,
    batch: Number(batch),
    bytes: given.bytes ?? measured?.bytes ?? Number.NaN,
    bucket: number(values.bucket) ?? LARGE,
    ...{ bandwidth, latency },
    loader: number(values.loader) ?? Number.POSITIVE_INFINITY,
  };
  const how = measured === null && reduced === null ? "all parameters assumed" : machine();
  tell(plant, `${arch}, simulated; ${how}`);
}
