import { MOST_COMPARED, type RunSummary } from "../board/protocol.js";
import { type Column, columnsOf, compareBy, fits } from "./columns.js";
import { byId, el, setText } from "./dom.js";
import type { Runs } from "./runs.js";

const NAME: Pick<Column, "title" | "value"> = { title: "Run", value: ({ name }) => name };

interface Row {
  readonly element: HTMLTableRowElement;
  readonly box: HTMLInputElement;
  readonly cells: readonly HTMLTableCellElement[];
}

/** The table of all runs: sorted, filtered, and those ticked that are shown. */
export class RunsTable {
  readonly #runs: Runs;
  readonly #onShow: () => void;
  readonly #head = byId("runs", HTMLTableElement).tHead;
  readonly #body = byId("runs", HTMLTableElement).tBodies[0];
  readonly #filter = byId("filter", HTMLInputElement);
  readonly #rows = new Map<string, Row>();
  #columns: readonly Column[] = [];
  #sorted: { by: string; down: boolean } = { by: NAME.title, down: false };

  /** @param onShow called when another run is shown, or one less */
  constructor(runs: Runs, onShow: () => void) {
    this.#runs = runs;
    this.#onShow = onShow;
    this.#filter.addEventListener("input", () => this.update());
  }

  update(): void {
    const { all } = this.#runs;
    this.#setColumns(columnsOf(all));
    const names = new Set(all.map(({ name }) => name));
    for (const name of this.#rows.keys()) if (!names.has(name)) this.#rows.delete(name);
    const filter = this.#filter.value.trim();
    const found = all.filter((run) => fits(run, filter)).sort((a, b) => this.#compare(a, b));
    this.#place(found.map((run) => this.#updated(run)));
    setText(byId("count", HTMLElement), countText(found.length, all.length));
  }

  #setColumns(columns: readonly Column[]): void {
    if (this.#columns.length > 0 && titles(columns) === titles(this.#columns)) return;
    this.#columns = columns;
    this.#rows.clear();
    this.#drawHead();
  }

  #drawHead(): void {
    const cells = [{ ...NAME, numeric: false }, ...this.#columns].map(({ title, numeric }) => {
      const isSorted = title === this.#sorted.by;
      const button = el("button", { type: "button", "data-title": title }, title);
      if (isSorted) button.append(el("span", { "aria-hidden": "true" }, this.#sorted.down ? " ▼" : " ▲"));
      button.addEventListener("click", () => this.#sortBy(title));
      const order = isSorted ? { "aria-sort": this.#sorted.down ? "descending" : "ascending" } : {};
      return el("th", { scope: "col", ...(numeric ? { class: "number" } : {}), ...order }, button);
    });
    this.#head?.replaceChildren(el("tr", {}, ...cells));
  }

  #sortBy(title: string): void {
    const { by, down } = this.#sorted;
    this.#sorted = { by: title, down: by === title && !down };
    this.#drawHead();
    [...(this.#head?.querySelectorAll("button") ?? [])].find((button) => button.dataset.title === title)?.focus();
    this.update();
  }

  #compare(one: RunSummary, other: RunSummary): number {
    const column = this.#columns.find(({ title }) => title === this.#sorted.by) ?? NAME;
    const [a, b] = [column.value(one) === null, column.value(other) === null];
    // What isn't known comes last either way.
    if (a || b) return Number(a) - Number(b);
    return (this.#sorted.down ? -1 : 1) * compareBy(column, one, other) || compareBy(NAME, one, other);
  }

  #updated(run: RunSummary): HTMLTableRowElement {
    const row = this.#rows.get(run.name) ?? this.#newRow(run.name);
    row.box.checked = this.#runs.isShown(run.name);
    for (const [i, column] of this.#columns.entries()) {
      const { [i]: cell } = row.cells;
      if (cell !== undefined) setText(cell, column.text(run));
    }
    row.element.dataset.state = run.state;
    row.element.title = run.warnings.join("\n");
    return row.element;
  }

  #newRow(name: string): Row {
    const box = el("input", { type: "checkbox" });
    box.addEventListener("change", () => this.#show(name, box));
    const cells = this.#columns.map(({ numeric }) => el("td", numeric ? { class: "number" } : {}));
    const element = el("tr", {}, el("th", { scope: "row" }, el("label", {}, box, name)), ...cells);
    const row = { element, box, cells };
    this.#rows.set(name, row);
    return row;
  }

  #show(name: string, box: HTMLInputElement): void {
    const done = this.#runs.show(name, box.checked);
    box.checked = this.#runs.isShown(name);
    setText(byId("selection-note", HTMLElement), done ? "" : `At most ${MOST_COMPARED} runs can be shown at once.`);
    if (done) this.#onShow();
  }

  /** Puts the rows in their order; what has the focus keeps it. */
  #place(rows: readonly HTMLTableRowElement[]): void {
    const body = this.#body;
    if (body === undefined || (body.rows.length === rows.length && rows.every((row, i) => body.rows[i] === row)))
      return;
    const focused = document.activeElement;
    body.replaceChildren(...rows);
    if (focused instanceof HTMLElement && body.contains(focused)) focused.focus();
  }
}

function titles(columns: readonly Column[]): string {
  return columns.map(({ title }) => title).join("\n");
}

function countText(found: number, all: number): string {
  if (all === 0) return "No runs yet: they appear here as soon as one begins.";
  return found === all ? `${all === 1 ? "1 run" : `${all} runs`}` : `${found} of ${all} runs`;
}
