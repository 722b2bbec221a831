import type { TestOutcome } from "../protocol.js";
import type { Session } from "../session.js";
import { byId, el } from "./dom.js";
import { milliseconds, percent, share, whole } from "./format.js";
import { clearProblem, guarded } from "./problem.js";

/** More classes than that make a table that nobody reads. */
const MOST_IN_TABLE = 25;
const MISTAKES = 3;

/** Tests a network on the samples: accuracy, and what is taken for what. */
export class TestView {
  readonly #text = byId("test-text", HTMLParagraphElement);
  readonly #button = byId("run-test", HTMLButtonElement);
  readonly #progress = byId("test-progress", HTMLProgressElement);
  readonly #result = byId("test-result", HTMLParagraphElement);
  readonly #confusion = byId("confusion", HTMLDivElement);
  #session: Session | undefined;

  constructor() {
    this.#button.addEventListener("click", () => guarded("The test stopped", () => this.#run()));
  }

  show(session: Session): void {
    const { samples, facts } = session;
    this.#session = session;
    this.#result.textContent = "";
    this.#confusion.replaceChildren();
    this.#progress.hidden = true;
    this.#button.hidden = samples === null;
    this.#button.disabled = false;
    const known =
      facts.test === null
        ? "The file tells no test accuracy."
        : `By its file, ${facts.test.accuracy.toFixed(2)} % of ${whole(facts.test.images)} test images are right.`;
    if (samples === null) {
      this.#text.textContent = `${known} This page has no images of its data set, so it can't be tested here.`;
      return;
    }
    const count = whole(samples.labels.length);
    this.#text.textContent = `${known} See for yourself with ${count} of ${samples.title}'s test images, the same number of each class.`;
    this.#button.textContent = `Test ${count} images`;
  }

  async #run(): Promise<void> {
    const session = this.#session;
    if (session === undefined || session.samples === null) return;
    clearProblem();
    this.#button.disabled = true;
    this.#progress.hidden = false;
    this.#progress.value = 0;
    this.#result.textContent = "Testing…";
    try {
      const outcome = await session.thread.call("test", { sheet: session.samples }, (fraction) => {
        this.#progress.value = fraction;
      });
      this.#tell(outcome, session.facts.classes, session.samples.labels);
    } finally {
      if (this.#session === session) {
        this.#button.disabled = false;
        this.#progress.hidden = true;
        if (this.#result.textContent === "Testing…") this.#result.textContent = "";
      }
    }
  }

  #tell({ said, time }: TestOutcome, classes: readonly string[], labels: readonly number[]): void {
    const right = said.filter((guess, i) => guess === labels[i]).length;
    const counts = `${whole(right)} of ${whole(said.length)} images`;
    this.#result.textContent = `${percent(right / said.length)} right: ${counts}, ${milliseconds(time)} each (median).`;
    const pairs = said.map((guess, i) => ({ truth: labels[i] ?? 0, said: guess }));
    const table = classes.length <= MOST_IN_TABLE ? [key(), matrix(pairs, classes)] : [];
    this.#confusion.replaceChildren(...mistakes(pairs, classes), ...table);
  }
}

/** An image's true class, and what the network said. */
interface Pair {
  readonly truth: number;
  readonly said: number;
}

/** The most frequent mistakes, in a sentence. */
function mistakes(pairs: readonly Pair[], classes: readonly string[]): HTMLElement[] {
  const counts = new Map<string, number>();
  for (const { truth, said } of pairs) {
    if (truth === said) continue;
    const mistake = `${classes[truth]} taken for ${classes[said]}`;
    counts.set(mistake, (counts.get(mistake) ?? 0) + 1);
  }
  const most = [...counts].sort(([, a], [, b]) => b - a).slice(0, MISTAKES);
  if (most.length === 0) return [];
  const told = most.map(([mistake, count]) => `${mistake} (${count})`);
  return [el("p", { class: "note" }, `Most frequent mistakes: ${told.join(", ")}.`)];
}

function key(): HTMLElement {
  return el("p", { class: "note" }, "Rows: the true class. Columns: what the network says.");
}

function matrix(pairs: readonly Pair[], classes: readonly string[]): HTMLElement {
  const head = classes.map((name) => el("th", { scope: "col", class: "unbroken" }, el("span", {}, name)));
  const rows = classes.map((name, truth) => {
    const own = pairs.filter((pair) => pair.truth === truth);
    const cells = classes.map((_, said) => {
      const count = own.filter((pair) => pair.said === said).length;
      const cell = el("td", said === truth ? { class: "diagonal" } : {}, count === 0 ? "" : String(count));
      cell.style.setProperty("--share", share(own.length === 0 ? 0 : count / own.length));
      return cell;
    });
    return el("tr", {}, el("th", { scope: "row", class: "unbroken" }, name), ...cells);
  });
  const table = el(
    "table",
    { class: "matrix" },
    el("thead", {}, el("tr", {}, el("td"), ...head)),
    el("tbody", {}, ...rows),
  );
  return el("section", { class: "scroll", tabindex: 0, "aria-label": "Confusion matrix" }, table);
}
