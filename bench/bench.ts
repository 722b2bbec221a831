// Everything that a change to kernels needs, in one run: `npm run bench -- --help`.
import { writeFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
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
  --json FILE           writes the same as JSON
`;

/** Those of a list that are named, in the list's order. */
function chosen<One extends { readonly name: string }>(
  all: readonly One[],
  names: string | undefined,
  flag: string,
): One[] {
  const wanted = names?.split(",") ?? all.map(({ name }) => name);
  const unknown = wanted.find((name) => all.every((one) => one.name !== name));
  if (unknown === undefined) return all.filter(({ name }) => wanted.includes(name));
  throw new RangeError(`${flag}: expected some of ${all.map(({ name }) => name).join(", ")}, received ${unknown}`);
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

const say = (text: string) => void process.stderr.write(`${text}\n`);

async function run(benches: readonly Bench[], setting: Setting): Promise<{ tables: Table[]; limits: Limit[] }> {
  const [tables, limits]: [Table[], Limit[]] = [[], []];
  for (const bench of benches) {
    say(`${bench.name}: ${bench.about}`);
    const result = await bench.run(setting);
    for (const table of result.tables) console.log(`${tableText(table)}\n`);
    tables.push(...result.tables);
    limits.push(...(result.limits ?? []));
  }
  return { tables, limits };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      networks: { type: "string" },
      repetitions: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const { quick } = values;
  const repetitions = Number(values.repetitions ?? (quick ? 1 : 7));
  if (!Number.isInteger(repetitions) || repetitions < 1)
    throw new RangeError(`--repetitions: expected a whole number from 1, received ${values.repetitions}`);
  let known: Peaks | undefined;
  const peaks = async () => {
    known ??= measurePeaks(quick);
    return known;
  };
  const workloads = quick ? [QUICK] : chosen(WORKLOADS, values.networks, "--networks");
  const machine = surroundings();
  const { processor, threads, libtorch, node, load } = machine;
  console.log(
    `# ${quick ? "Quick run, no measurement" : "Benchmarks"}\n\n${processor}, ${threads} threads, libtorch ${libtorch}, Node ${node}; load ${load[0]?.toFixed(2)}\n`,
  );
  const { tables, limits } = await run(chosen(BENCHES, values.only, "--only"), {
    repetitions,
    quick,
    workloads,
    peaks,
    say,
  });
  if (limits.length > 0) console.log(tableText(limitsTable(limits)));
  if (values.json === undefined) return;
  const told = { quick, repetitions, machine, tables, limits: limits.map((one) => ({ ...one, met: isMet(one) })) };
  writeFileSync(values.json, `${JSON.stringify(told, null, 1)}\n`);
}

await main();
