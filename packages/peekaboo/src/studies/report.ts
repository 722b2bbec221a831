import { join } from "node:path";
import { makeFolder, writeFileAtomic } from "@peekaboo/files";
import { printable } from "@peekaboo/files/errors";
import { aligned } from "../console/table.js";
import { collect } from "./collect.js";
import { figuresOf } from "./figures.js";
import { GROUP_ALIGNMENT, GROUP_TITLES, groupRow } from "./group-table.js";
import { drawPage } from "./page.js";
import { asCsv, groupsOf } from "./results.js";

/**
 * Compares the runs of folders, and writes `results.csv`, the figures and `report.html` into `output`, each whole or not at all.
 *
 * @returns the table, and where the files are, as lines for a person
 * @throws {UserError} when there are no runs, a finished run's file is damaged, or something can't be written.
 */
export function reportStudies(folders: readonly string[], output: string): { lines: string[] } {
  const collections = folders.map(collect);
  const several = collections.length > 1;
  const runs = collections.flatMap(({ title, runs: own }) =>
    several ? own.map((run) => ({ ...run, name: `${title}/${run.name}` })) : own,
  );
  const groups = groupsOf(runs);
  const figures = figuresOf(groups);
  const title = collections.map((one) => one.title).join(", ");
  const about = collections.flatMap((one) => (one.about === "" ? [] : [one.about])).join(" ");

  makeFolder("report", output);
  const write = (name: string, text: string) => writeFileAtomic(join(output, name), [Buffer.from(text)]);
  write("results.csv", asCsv(runs));
  for (const { name, svg } of figures) write(`${name}.svg`, svg);
  write("report.html", drawPage({ title, about, runs, groups, figures }));

  const rows = groups.map((group) => groupRow(group).map((cell) => printable(cell)));
  const files = ["report.html", "results.csv"].map((name) => printable(join(output, name)));
  return { lines: [...aligned([GROUP_TITLES, ...rows], GROUP_ALIGNMENT), "", ...files] };
}
