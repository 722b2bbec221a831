import { printable } from "@peekaboo/files/errors";
import type { Command } from "commander";
import { optional, text } from "../config/kinds.js";
import { trainOptions } from "../config/options.js";
import { option, type Values, valuesFromFlags } from "../config/table.js";
import { formatBytes, formatCount } from "../console/format.js";
import { InterruptGuard } from "../console/interrupt.js";
import type { Io } from "../console/io.js";
import { aligned } from "../console/table.js";
import type { DatasetStatus } from "../data/dataset.js";
import { addFlags, givenFlags } from "./flags.js";
import { subcommand } from "./subcommand.js";

const listOptions = {
  dataFolder: trainOptions.dataFolder,
  json: { ...trainOptions.json, help: "Prints the result as one line of JSON." },
};

const fetchOptions = {
  ...listOptions,
  archive: option({
    flags: "--from <path>",
    kind: optional(text("an archive or a folder")),
    default: null,
    defaultText: "the network",
    help: "Takes the images from an archive, or a folder of unpacked files, that is already here.",
  }),
};

/** Adds `peekaboo data NAME`, which fetches a data set ahead of time, and `peekaboo data list`. */
export function addData(program: Command, io: Io): void {
  const command = subcommand(program, "data [name]", "Fetch a data set ahead of time, or list what is here");
  addFlags(command, fetchOptions);
  command.action(async (name: string | undefined) => {
    const given = valuesFromFlags(fetchOptions, givenFlags(command, fetchOptions));
    await (name === undefined ? list(given, io) : fetchDataset(name, given, io));
  });

  // Its flags are the parent's: commander gives a flag that both know to the parent.
  const listing = subcommand(command, "list", "Tell which data sets there are and which are on this machine");
  listing.action(() => list(valuesFromFlags(listOptions, givenFlags(command, listOptions)), io));
}

async function list({ dataFolder, json }: Values<typeof listOptions>, { stdout }: Io): Promise<void> {
  const { datasetStatus } = await import("../data/dataset.js");
  const known = datasetStatus(dataFolder ?? undefined);
  stdout.write(json ? `${JSON.stringify(known)}\n` : `${aligned([TITLES, ...known.map(row)], "llrrrrl").join("\n")}\n`);
}

const TITLES = ["name", "title", "classes", "train", "test", "size", "file"];

function row({ name, title, classes, train, test, path, bytes }: DatasetStatus): string[] {
  const here =
    bytes === undefined ? ["-", `not fetched: peekaboo data ${name}`] : [formatBytes(bytes), printable(path)];
  return [name, title, formatCount(classes), formatCount(train), formatCount(test), ...here];
}

/** Fetches a data set that isn't here, or is here and damaged; Ctrl-C keeps what has been downloaded. */
async function fetchDataset(name: string, given: Values<typeof fetchOptions>, io: Io): Promise<void> {
  const { dataFolder, archive, json } = given;
  const { datasetStatus, openDataset } = await import("../data/dataset.js");
  const { importDataset } = await import("../data/import.js");
  const { fetchProgress } = await import("../console/data-progress.js");
  const guard = new InterruptGuard();
  const { onProgress, stop } = fetchProgress(name, io.stderr);
  const how = { onProgress, signal: guard.signal, ...(dataFolder === null ? {} : { folder: dataFolder }) };
  try {
    const opening = archive === null ? openDataset(name, { ...how, repair: true }) : importDataset(name, archive, how);
    const { name: known, title, train, test } = await opening;
    stop();
    const status = datasetStatus(dataFolder ?? undefined).find((candidate) => candidate.name === known);
    const counts = `${formatCount(train.count)} training and ${formatCount(test.count)} test images`;
    const told = `${title}: ${counts}, verified, ${formatBytes(status?.bytes ?? 0)} in ${printable(status?.path ?? "")}`;
    io.stdout.write(`${json ? JSON.stringify(status) : told}\n`);
  } catch (error) {
    stop();
    if (!guard.signal.aborted) throw error;
    io.stderr.write("Interrupted; the next time goes on from what has been downloaded.\n");
    throw guard.signal.reason;
  } finally {
    guard.dispose();
  }
}
