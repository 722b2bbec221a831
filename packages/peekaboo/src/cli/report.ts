import type { Command } from "commander";
import { optional, text } from "../config/kinds.js";
import { ownArch } from "../config/options.js";
import { option, valuesFromFlags } from "../config/table.js";
import type { Io } from "../console/io.js";
import { addFlags, givenFlags } from "./flags.js";
import { subcommand } from "./subcommand.js";

const options = {
  arch: { ...ownArch, help: "JavaScript file that builds the network, for runs of a network of your own." },
  output: option({
    flags: "--output <folder>",
    kind: optional(text("a folder")),
    default: null,
    defaultText: "the folder itself; of several, report",
    help: "Folder that gets results.csv, the figures and report.html.",
  }),
};

const NOTES = `
A folder may be a study's, a run's, or one that holds such folders. report.html is one file with everything in it. Runs of the
same settings but for the seed count as one: their mean and sample standard deviation.

Example:
  $ peekaboo report results/pruners
`;

/** Adds `peekaboo report FOLDER…`. */
export function addReport(program: Command, io: Io): void {
  const command = subcommand(
    program,
    "report <folders...>",
    "Compare finished runs: a table, figures and a page of HTML",
  );
  addFlags(command, options);
  command.addHelpText("after", NOTES);
  command.action(async (folders: string[]) => {
    const { output } = valuesFromFlags(options, givenFlags(command, options));
    const { reportStudies } = await import("../studies/report.js");
    const [first = "report", ...others] = folders;
    const { lines } = reportStudies(folders, output ?? (others.length === 0 ? first : "report"));
    io.stdout.write(`${lines.join("\n")}\n`);
  });
}
