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
      this.#tell(outcome, session.facts.classes);
    } finally {
      if (this.#session === session) {
        this.#button.disabled = false;
        this.#progress.hidden = true;
        if (this.#result.textContent === "Testing…") this.#result.textContent = "";
      }
    }
  }

  #tell({ images, right, confusion, time }: TestOutcome, classes: readonly string[]): void {
    this.#result.textContent = `${percent(right / images)} right: ${whole(right)} of ${whole(images)} images, ${milliseconds(time)} each (median).`;
    const table = classes.length <= MOST_IN_TABLE ? [key(), matrix(confusion, classes)] : [];
    this.#confusion.replaceChildren(...mistakes(confusion, classes), ...table);
  }
}

/** The most frequent mistakes, in a sentence. */
function mistakes(confusion: TestOutcome["confusion"], classes: readonly string[]): HTMLElement[] {
  const all = confusion.flatMap((row, truth) =>
    row.flatMap((count, said) => (said === truth || count === 0 ? [] : [{ truth, said, count }])),
  );
  const most = all.sort((a, b) => b.count - a.count).slice(0, MISTAKES);
  if (most.length === 0) return [];
  const told = most.map(({ truth, said, count }) => `${classes[truth]} taken for ${classes[said]} (${count})`);
  return [el("p", { class: "note" }, `Most frequent mistakes: ${told.join(", ")}.`)];
}

function key(): HTMLElement {
  return el("p", { class: "note" }, "Rows: the true class. Columns: what the network says.");
}

function matrix(confusion: TestOutcome["confusion"], classes: readonly string[]): HTMLElement {
  const head = classes.map((name) => el("th", { scope: "col" }, el("span", {}, name)));
  const rows = confusion.map((row, truth) => {
    const sum = row.reduce((total, count) => total + count, 0);
    const cells = row.map((count, said) => {
      const cell = el("td", said === truth ? { class: "diagonal" } : {}, count === 0 ? "" : String(count));
      cell.style.setProperty("--share", share(sum === 0 ? 0 : count / sum));
      return cell;
    });
    return el("tr", {}, el("th", { scope: "row" }, classes[truth] ?? ""), ...cells);
  });
  const table = el(
    "table",
    { class: "matrix" },
    el("thead", {}, el("tr", {}, el("td"), ...head)),
    el("tbody", {}, ...rows),
  );
  return el("section", { class: "scroll", tabindex: 0, "aria-label": "Confusion matrix" }, table);
}
