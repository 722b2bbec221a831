import type { Answer } from "../protocol.js";
import type { SampleSet } from "../samples.js";
import type { Session, Subject } from "../session.js";
import { tileOf } from "../work/sheet.js";
import { byId, el } from "./dom.js";
import { milliseconds } from "./format.js";
import { showGuesses } from "./guesses.js";
import { Pad } from "./pad.js";
import { paint } from "./pixels.js";
import { guarded } from "./problem.js";

const STRIP = 10;
const DRAWN_SIDE = 28;

/** An image, and what the network makes of it. */
export class TryView {
  readonly #picture = byId("picture", HTMLCanvasElement);
  readonly #caption = byId("caption", HTMLElement);
  readonly #strip = byId("strip", HTMLDivElement);
  readonly #samplesBox = byId("samples-box", HTMLFieldSetElement);
  readonly #stepButtons = byId("sample-buttons", HTMLDivElement);
  readonly #samplesNote = byId("samples-note", HTMLParagraphElement);
  readonly #draw = byId("draw", HTMLButtonElement);
  readonly #drawing = byId("drawing", HTMLDivElement);
  readonly #guesses = byId("guesses", HTMLOListElement);
  readonly #verdict = byId("verdict", HTMLParagraphElement);
  readonly #seenBox = byId("seen-box", HTMLDivElement);
  readonly #seen = byId("seen", HTMLCanvasElement);
  readonly #seenNote = byId("seen-note", HTMLParagraphElement);
  readonly #time = byId("time", HTMLButtonElement);
  readonly #timing = byId("timing", HTMLParagraphElement);
  readonly #onSubject: (subject: Subject | null) => void;
  readonly #pad = new Pad(
    (image) => this.#ask({ image, caption: "Your drawing", truth: null }),
    () => this.#clear(),
  );
  #session: Session | undefined;
  #subject: Subject | null = null;
  #sample = 0;

  /** @param onSubject hears of each image that the network is asked about */
  constructor(onSubject: (subject: Subject | null) => void) {
    this.#onSubject = onSubject;
    byId("previous", HTMLButtonElement).addEventListener("click", () => this.#showSample(this.#sample - 1));
    byId("next", HTMLButtonElement).addEventListener("click", () => this.#showSample(this.#sample + 1));
    this.#draw.addEventListener("click", () => this.#drawMode(Boolean(this.#drawing.hidden)));
    this.#time.addEventListener("click", () => guarded("Timing stopped", () => this.#measure()));
  }

  show(session: Session): void {
    const { samples, facts } = session;
    const [channels, height, width] = facts.input;
    this.#session = session;
    this.#stepButtons.hidden = samples === null;
    this.#samplesBox.hidden = samples === null;
    this.#samplesNote.textContent =
      samples === null
        ? "This page has no sample images for this network: drop an image anywhere on the page, or paste one."
        : "You can also drop an image anywhere on this page, or paste one.";
    this.#pad.digits = facts.classes.every((name) => /^\d$/.test(name));
    this.#draw.textContent = this.#pad.digits ? "Draw a digit" : "Draw";
    this.#draw.hidden = channels !== 1 || height !== DRAWN_SIDE || width !== DRAWN_SIDE;
    if (this.#draw.hidden) this.#drawMode(false);
    this.#timing.textContent = "";
    if (samples !== null) this.#showSample(0);
    else this.#clear();
  }

  /** Asks about an image of the user's. */
  showImage(subject: Subject): void {
    this.#drawMode(false);
    this.#ask(subject);
  }

  /** There is no image, and nothing that was said of one. */
  #clear(): void {
    this.#subject = null;
    this.#picture.width = 1;
    this.#picture.height = 1;
    this.#caption.textContent = this.#drawing.hidden ? "No image yet" : "";
    this.#picture.setAttribute("aria-label", "No image yet");
    this.#verdict.textContent = "";
    this.#timing.textContent = "";
    showGuesses(this.#guesses, [], null);
    this.#seenBox.hidden = true;
    this.#time.disabled = true;
    this.#onSubject(null);
  }

  #drawMode(on: boolean): void {
    this.#drawing.hidden = !on;
    this.#picture.hidden = on;
    this.#draw.setAttribute("aria-pressed", String(on));
    if (!on) return;
    this.#pad.clear();
    this.#strip.querySelector("[aria-pressed=true]")?.setAttribute("aria-pressed", "false");
  }

  #showSample(index: number): void {
    const samples = this.#session?.samples ?? null;
    if (samples === null) return;
    const count = samples.labels.length;
    this.#sample = (index + count) % count;
    this.#drawMode(false);
    this.#showStrip(samples);
    const truth = samples.labels[this.#sample] ?? 0;
    const caption = `Sample ${this.#sample + 1} of ${count}, ${samples.title}: ${samples.classes[truth]}`;
    this.#ask({ image: tileOf(samples, this.#sample), caption, truth });
  }

  /** The samples around the one that is shown. */
  #showStrip(samples: SampleSet): void {
    const first = Math.floor(this.#sample / STRIP) * STRIP;
    const key = `${samples.title} ${first}`;
    if (this.#strip.dataset.key !== key) {
      this.#strip.dataset.key = key;
      const indices = samples.labels.slice(first, first + STRIP).map((_, i) => first + i);
      this.#strip.replaceChildren(...indices.map((i) => this.#thumbnail(samples, i)));
    }
    [...this.#strip.children].forEach((child, i) => {
      child.setAttribute("aria-pressed", String(first + i === this.#sample));
    });
  }

  #thumbnail(samples: SampleSet, index: number): HTMLButtonElement {
    const canvas = el("canvas", { "aria-hidden": "true" });
    paint(canvas, tileOf(samples, index));
    const name = samples.classes[samples.labels[index] ?? 0] ?? "";
    const button = el("button", { type: "button", "aria-label": `Sample ${index + 1}: ${name}`, title: name }, canvas);
    button.addEventListener("click", () => this.#showSample(index));
    return button;
  }

  #ask(subject: Subject): void {
    this.#subject = subject;
    this.#timing.textContent = "";
    this.#time.disabled = false;
    if (this.#drawing.hidden) {
      paint(this.#picture, subject.image);
      this.#picture.setAttribute("aria-label", subject.caption);
      this.#picture.classList.toggle("small", Math.max(subject.image.width, subject.image.height) <= 96);
      this.#caption.textContent = subject.caption;
    }
    guarded("The image could not be classified", async () => {
      const answer = await this.#session?.thread.call("predict", { image: subject.image });
      // Another image may have come meanwhile.
      if (answer !== undefined && this.#subject === subject) this.#tell(answer, subject);
    });
    this.#onSubject(subject);
  }

  #tell({ best, seen }: Answer, { image, truth }: Subject): void {
    showGuesses(this.#guesses, best, truth);
    const [first] = best;
    const judged = truth === null ? "" : first?.index === truth ? " That is right." : " That is wrong.";
    this.#verdict.textContent = first === undefined ? "" : `“${first.label}”.${judged}`;
    this.#seenBox.hidden = this.#drawing.hidden === true && image.width === seen.width && image.height === seen.height;
    paint(this.#seen, seen);
    this.#seenNote.textContent = `What the network sees of it: ${seen.width}×${seen.height} pixels.`;
  }

  async #measure(): Promise<void> {
    const [session, subject] = [this.#session, this.#subject];
    if (session === undefined || subject === null) return;
    this.#time.disabled = true;
    try {
      const { runs, least, median, most } = await session.thread.call("time", { image: subject.image });
      const engine = session.facts.simd ? "WebAssembly with SIMD" : "JavaScript";
      this.#timing.textContent = `${milliseconds(median)}, from ${milliseconds(least)} to ${milliseconds(most)} (${runs} runs, one thread, ${engine})`;
    } finally {
      this.#time.disabled = false;
    }
  }
}
