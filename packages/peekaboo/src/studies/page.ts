import { isIncidental } from "../commands/resume.js";
import { namedOptions, valueAt } from "../config/given.js";
import { formatCount } from "../console/format.js";
import { COLOURS } from "../report/colours.js";
import { element, escaped } from "../report/svg.js";
import type { Figure } from "./figures.js";
import { GROUP_TITLES, groupRow } from "./group-table.js";
import { type Group, type RunResult, variedIn } from "./results.js";

/** What the page tells. */
export interface PageParts {
  title: string;
  /** What was asked, in a sentence; may be empty. */
  about: string;
  runs: readonly RunResult[];
  groups: readonly Group[];
  figures: readonly Figure[];
}

/** One page of HTML with everything in it: nothing is fetched, and no script runs. */
export function drawPage({ title, about, runs, groups, figures }: PageParts): string {
  const count = (status: RunResult["status"]) => runs.filter((run) => run.status === status).length;
  const others = (["failed", "unfinished"] as const).flatMap((status) =>
    count(status) === 0 ? [] : [`${formatCount(count(status))} ${status}`],
  );
  const body = [
    element("h1", {}, [escaped(title)]),
    about === "" ? "" : paragraph(about),
    paragraph([`${formatCount(runs.length)} ${runs.length === 1 ? "run" : "runs"}`, ...others].join(", ")),
    ...figures.map(figureOf),
    heading("Results"),
    paragraph(
      "Mean ± sample standard deviation over the seeds. Kept: of the prunable weights. MACs: multiply-accumulates of kept weights for one image, of those of the dense network. File: the .pab file of the best network; bits of it a prunable weight, kept or not. Time: of pruning and training, without tests.",
    ),
    table(GROUP_TITLES, groups.map(groupRow)),
    heading("Settings"),
    paragraph("What all runs share and doesn't have its default; what they differ in is in the runs' table."),
    table(["setting", "value"], shared(runs)),
    heading("Runs"),
    table(["run", ...variedIn(runs).map(({ path }) => path), "accuracy", "status"], runs.map(runRow(runs))),
    heading("Commands"),
    paragraph(
      "The command lines of the runs; where a study's runs lie, and on how many threads they ran, is left out.",
    ),
    element(
      "pre",
      {},
      runs.map((run) => `${escaped(commandOf(run))}\n`),
    ),
    heading("Versions"),
    table(["what", "which"], versions(runs)),
  ];
  const head = [
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    element("title", {}, [escaped(title)]),
    `<style>${STYLE}</style>`,
  ];
  return `<!doctype html>\n<html lang="en">\n<head>${head.join("")}</head>\n<body><main>\n${body.join("\n")}\n</main></body>\n</html>\n`;
}

function heading(text: string): string {
  return element("h2", {}, [escaped(text)]);
}

function paragraph(text: string): string {
  return element("p", {}, [escaped(text)]);
}

function figureOf({ title, caption, svg }: Figure): string {
  const words = element("figcaption", {}, [element("b", {}, [escaped(`${title}. `)]), escaped(caption)]);
  return element("figure", {}, [element("div", { class: "wide" }, [svg.trim()]), words]);
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (name: string, cells: readonly string[]) =>
    element(
      "tr",
      {},
      cells.map((cell) => element(name, {}, [escaped(cell)])),
    );
  const parts = [
    element("thead", {}, [line("th", titles)]),
    element(
      "tbody",
      {},
      rows.map((row) => line("td", row)),
    ),
  ];
  return element("div", { class: "wide" }, [element("table", {}, parts)]);
}

/** The settings that all runs share, where they differ from the defaults. */
function shared(runs: readonly RunResult[]): string[][] {
  const varied = variedIn(runs);
  const [first] = runs;
  if (first === undefined) return [];
  return namedOptions.flatMap(({ path, option }) => {
    const value = valueAt(first.config, path);
    const same = JSON.stringify(value) === JSON.stringify(option.default);
    if (value === undefined || same || isIncidental(path) || varied.some((one) => one.path === path)) return [];
    return [[path, inWords(value)]];
  });
}

function runRow(runs: readonly RunResult[]): (run: RunResult) => string[] {
  const varied = variedIn(runs);
  return ({ name, config, facts, status, failure }) => [
    name,
    ...varied.map(({ path }) => inWords(valueAt(config, path))),
    facts === null ? "-" : `${facts.last.toFixed(2)} %`,
    failure === null ? status : `${status}: ${failure}`,
  ];
}

function inWords(value: unknown): string {
  if (value === null || value === undefined) return "-";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function commandOf({ command }: RunResult): string {
  return ["peekaboo", ...command.map(inShell)].join(" ");
}

function inShell(word: string): string {
  return /^[\w.,:/=+%-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** What the runs ran on; where they differ, all that there was. */
function versions(runs: readonly RunResult[]): string[][] {
  const environments = runs.flatMap(({ facts }) => (facts === null ? [] : [facts.environment]));
  const rows: [string, (environment: (typeof environments)[number]) => string | number | null | undefined][] = [
    ["peekaboo", ({ version }) => version],
    ["commit", ({ commit }) => commit],
    ["Node", ({ node }) => node],
    ["libtorch", ({ libtorch }) => libtorch],
    ["platform", ({ platform }) => platform],
    ["processor", ({ cpu }) => cpu?.model],
    ["device", ({ device }) => device],
    ["threads of a run", ({ threads }) => threads],
  ];
  return rows.map(([name, of]) => [name, [...new Set(environments.map((one) => of(one) ?? "not told"))].join("; ")]);
}

/** The greys of the figures in the dark; its colours are as well seen on either. */
const DARK: Readonly<Partial<Record<keyof typeof COLOURS, string>>> = {
  background: "#16181c",
  text: "#e8eaed",
  muted: "#a5abb3",
  frame: "#5a6069",
  faint: "#2b2f36",
  track: "#22262c",
};

const dark = Object.entries(DARK).flatMap(([name, colour]) => {
  const light = COLOURS[name as keyof typeof COLOURS];
  return [`svg [fill="${light}"]{fill:${colour}}`, `svg [stroke="${light}"]{stroke:${colour}}`];
});

const STYLE = [
  ":root{color-scheme:light dark;--text:#1a1a1a;--muted:#5f6368;--line:#dadce0;--page:#ffffff}",
  "body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif}",
  "main{max-width:60rem;margin:0 auto;padding:1rem}",
  "h1{font-size:1.6rem;line-height:1.2;overflow-wrap:anywhere}h2{font-size:1.2rem;margin-top:2rem}",
  "figure{margin:2rem 0}figcaption{color:var(--muted);font-size:.9rem}",
  ".wide{overflow-x:auto}svg{display:block;width:100%;min-width:34rem;max-width:45rem;height:auto}",
  "table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}",
  "th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem;text-align:right;white-space:nowrap}",
  "th:first-child,td:first-child{text-align:left}",
  "pre{overflow-x:auto;font-size:.8rem;border:1px solid var(--line);padding:.6rem}",
  `@media (prefers-color-scheme:dark){:root{--text:#e8eaed;--muted:#a5abb3;--line:#3a3f47;--page:#16181c}${dark.join("")}}`,
  "@media print{.wide{overflow:visible}pre{white-space:pre-wrap}}",
].join("");
