import type { RunSummary } from "../board/protocol.js";
import { bare } from "./columns.js";
import { byId, el, setText } from "./dom.js";

/** Shows which runs the curves are of, their warnings, and their files. */
export function listShown(runs: readonly RunSummary[]): void {
  const list = byId("selected", HTMLElement);
  const told = JSON.stringify(
    runs.map(({ name, warnings, hasPicture, hasNetwork, state }) => [name, warnings, hasPicture, hasNetwork, state]),
  );
  // Untouched where nothing changed: a link may have the focus.
  if (list.dataset.told === told) return;
  list.dataset.told = told;
  list.replaceChildren(...runs.map(itemOf));
}

function itemOf({ id, name, state, warnings, hasPicture, hasNetwork }: RunSummary, i: number): HTMLElement {
  const swatch = el("span", { class: `swatch run-${i}`, "aria-hidden": "true" });
  const item = el("li", {}, swatch, el("strong", {}, name), ` ${state}`);
  const link = (file: string, text: string) =>
    el("a", { href: `runs/${id}/${file}`, download: file, "aria-label": `${text} of ${name}` }, text);
  if (hasPicture) item.append(" ", link("run.svg", "Picture"));
  if (hasNetwork) item.append(" ", link("best.pab", "Best network (.pab)"), " ", tryLink(name));
  for (const warning of warnings) item.append(el("p", { class: "warning" }, `⚠ ${warning}`));
  return item;
}

/** Opens the run's best network in the predicting page. */
function tryLink(run: string): HTMLElement {
  const network = `../best.pab?${new URLSearchParams({ run })}`;
  const href = `predict/?${new URLSearchParams({ network, name: `${run}/best.pab` })}`;
  const label = `Try the best network of ${run}, in a new tab`;
  return el("a", { href, target: "_blank", rel: "noopener", "aria-label": label }, "Try it on images");
}

/** Sets the runs' settings beside each other, as far as they differ, and marks what isn't as in the first. */
export function compareSettings(runs: readonly RunSummary[]): void {
  const paths = [...new Set(runs.flatMap(({ settings }) => Object.keys(settings)))];
  const differing = paths.filter((path) => new Set(runs.map(({ settings }) => settings[path])).size > 1);
  const table = byId("settings", HTMLTableElement);
  const head = el(
    "tr",
    {},
    el("th", { scope: "col" }, "Setting"),
    ...runs.map(({ name }) => el("th", { scope: "col" }, name)),
  );
  const rows = differing.map((path) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, path),
      ...runs.map((run) => valueCell(run.settings[path], runs[0]?.settings[path])),
    ),
  );
  table.replaceChildren(...(differing.length === 0 ? [] : [el("thead", {}, head), el("tbody", {}, ...rows)]));
  setText(byId("compare-note", HTMLElement), noteOf(runs.length, differing.length));
}

function valueCell(value = "", first = ""): HTMLElement {
  const text = value === "" ? "–" : bare(value);
  return el("td", {}, value === first ? text : el("mark", {}, text));
}

function noteOf(runs: number, differing: number): string {
  if (runs < 2) return "Tick two runs or more to compare their settings.";
  return differing === 0 ? "The runs shown have the same settings." : "Marked: what is not as in the first of them.";
}
