import type { PixelImage } from "@peekaboo/runtime";
import { centred } from "./digit.js";
import { byId, drawingOf } from "./dom.js";

const SIDE = 280;
/** The width of the pen, as digits of MNIST have it. */
const PEN = 22;
const KEY_STEP = 10;
const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Where one draws: white on black, as MNIST's images are. */
export class Pad {
  readonly #canvas = byId("pad", HTMLCanvasElement);
  readonly #ink = document.createElement("canvas");
  readonly #onDrawn: (image: PixelImage) => void;
  readonly #onClear: () => void;
  #pen: readonly [number, number] = [SIDE / 2, SIDE / 2];
  #frame = 0;
  #keys = false;
  /** Whether strokes are moved and scaled as MNIST's digits were. */
  digits = true;

  /** @param onDrawn hears of the drawing as it grows, and `onClear` when it is gone */
  constructor(onDrawn: (image: PixelImage) => void, onClear: () => void) {
    this.#onDrawn = onDrawn;
    this.#onClear = onClear;
    this.#ink.width = SIDE;
    this.#ink.height = SIDE;
    this.#canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.#canvas.addEventListener("pointermove", (event) => {
      if (this.#canvas.hasPointerCapture(event.pointerId)) this.#stroke(this.#place(event));
    });
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#canvas.addEventListener("blur", () => this.#show(false));
    byId("pad-clear", HTMLButtonElement).addEventListener("click", () => this.clear());
    this.#wipe();
  }

  clear(): void {
    cancelAnimationFrame(this.#frame);
    this.#wipe();
    this.#onClear();
  }

  #wipe(): void {
    const context = drawingOf(this.#ink);
    context.fillStyle = "#000";
    context.fillRect(0, 0, SIDE, SIDE);
    this.#show(false);
  }

  #place({ clientX, clientY }: PointerEvent): readonly [number, number] {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return [((clientX - left) / width) * SIDE, ((clientY - top) / height) * SIDE];
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0) return;
    event.preventDefault();
    this.#canvas.setPointerCapture(event.pointerId);
    this.#keys = false;
    this.#pen = this.#place(event);
    this.#stroke(this.#pen);
  }

  #key(event: KeyboardEvent): void {
    const arrow = ARROWS[event.key];
    if (arrow === undefined) return;
    event.preventDefault();
    const [x, y] = this.#pen;
    const inside = (at: number) => Math.max(0, Math.min(SIDE, at));
    const to = [inside(x + arrow[0] * KEY_STEP), inside(y + arrow[1] * KEY_STEP)] as const;
    this.#keys = true;
    if (event.shiftKey) this.#stroke(to);
    else this.#pen = to;
    this.#show(true);
  }

  #stroke(to: readonly [number, number]): void {
    const context = drawingOf(this.#ink);
    context.strokeStyle = "#fff";
    context.lineWidth = PEN;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(...this.#pen);
    context.lineTo(...to);
    context.stroke();
    this.#pen = to;
    this.#show(this.#keys);
    // At most once a frame, however many points a stroke has.
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      const image = centred(this.#ink, this.digits);
      if (image !== null) this.#onDrawn(image);
    });
  }

  /** The ink, with the pen's place for the keyboard. */
  #show(pen: boolean): void {
    const context = drawingOf(this.#canvas);
    context.drawImage(this.#ink, 0, 0);
    if (!pen) return;
    context.strokeStyle = "#e0812a";
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...this.#pen, PEN / 2, 0, 2 * Math.PI);
    context.stroke();
  }
}
