// Everything that a change to kernels needs, in one run: `npm run bench -- --help`.
import { cpus, loadavg, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { refuseUnwritable, writeFileAtomic } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";
import { getThreads, torchVersion } from "@peekaboo/torch";
import type { Bench, Limit, Setting, Table } from "./suite/bench.js";
import { measurePeaks, type Peaks } from "./suite/peaks.js";
import { isMet, limitsTable, tableText } from "./suite/print.js";
import { BENCHES } from "./suite/registry.js";
import { QUICK, WORKLOADS } from "./suite/workloads.js";

const HELP = `npm run bench -- [--only NAME,NAME] [--networks NAME,NAME] [--repetitions N] [--quick] [--json FILE]

Measures, things that are compared in turn, and prints tables of medians (minimum–maximum) and, last, the limits.

  --only NAME,NAME      these alone:
${BENCHES.map(({ name, about }) => `                          ${name.padEnd(10)} ${about}`).join("\n")}
  --networks NAME,NAME  of ${WORKLOADS.map(({ name }) => name).join(", ")}; all of them unless given
  --repetitions N       how often each is measured; 7
  --quick               the smallest network, once: whether it runs, and no measurement
  --json FILE           writes the same as JSON, anew after each bench
`;

/** Those of a list that are named, in the list's order. */
function chosen<One extends { readonly name: string }>(
  all: readonly One[],
  names: string | undefined,
  flag: string,
): One[] {
  const wanted = names?.split(",") ?? all.map(({ name }) => name);
  const unknown = wanted.find((name) => all.every((one) => one.name !== name));
  if (unknown !== undefined) throw wrong(flag, `some of ${all.map(({ name }) => name).join(", ")}`, unknown);
  return all.filter(({ name }) => wanted.includes(name));
}

function wrong(argument: string, expected: string, received: string): UserError {
  return new UserError({ operation: "bench", argument, expected, received: quoted(received) });
}

/** The machine and what computes on it. */
function surroundings() {
  return {
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    threads: getThreads(),
    memory: totalmem(),
    system: `${process.platform} ${release()}`,
    node: process.version,
    libtorch: torchVersion(),
    load: loadavg(),
  };
}

interface Told {
  tables: Table[];
  limits: Limit[];
}

/** Runs one after the other, prints their tables, and hands on what there is after each. */
async function run(benches: readonly Bench[], setting: Setting, onResult: (told: Told) => void): Promise<Told> {
  const told: Told = { tables: [], limits: [] };
  for (const bench of benches) {
    setting.say(`${bench.name}: ${bench.about}`);
    const { tables, limits = [] } = await bench.run(setting);
    for (const table of tables) console.log(`${tableText(table)}\n`);
    told.tables.push(...tables);
    told.limits.push(...limits);
    onResult(told);
  }
  return told;
}

function repetitionsOf(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw wrong("--repetitions", "a whole number from 1 to 9999", text);
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    options: { only: text, networks: text, repetitions: text, quick: flag, json: text, help: flag },
  });
  const { quick, json, help } = values;
  if (help) {
    console.log(HELP);
    return;
  }
  if (json !== undefined) refuseUnwritable("bench", json);
  const benches = chosen(BENCHES, values.only, "--only");
  let known: Peaks | undefined;
  const setting: Setting = {
    repetitions: repetitionsOf(values.repetitions ?? (quick ? "1" : "7")),
    quick,
    workloads: quick ? [QUICK] : chosen(WORKLOADS, values.networks, "--networks"),
    peaks: async () => {
      known ??= measurePeaks(quick);
      return known;
    },
    say: (line) => void process.stderr.write(`${line}\n`),
  };
  const machine = surroundings();
  const { processor, threads, libtorch, node, load } = machine;
  console.log(`# ${quick ? "Quick run, no measurement" : "Benchmarks"}

${processor}, ${threads} threads, libtorch ${libtorch}, Node ${node}; load ${load[0]?.toFixed(2)}
`);
  const { limits } = await run(benches, setting, ({ tables, limits }) => {
    if (json === undefined) return;
    const judged = limits.map((one) => ({ ...one, met: isMet(one) }));
    const told = { quick, repetitions: setting.repetitions, machine, tables, limits: judged };
    writeFileAtomic(json, [Buffer.from(`${JSON.stringify(told, null, 1)}\n`)]);
  });
  if (limits.length > 0) console.log(tableText(limitsTable(limits)));
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
