import { svg } from "./dom.js";
import { percent } from "./format.js";

const WIDTH = 640;
const HEIGHT = 240;
const LEFT = 78;
const RIGHT = 16;
const TOP = 14;
const BOTTOM = 30;

const x = (stage: number) => LEFT + stage * (WIDTH - LEFT - RIGHT);
const y = (fraction: number) => TOP + (1 - fraction) * (HEIGHT - TOP - BOTTOM);

/** Accuracy over the stages of a network: even steps from its random weights over its mask to its signs. */
export function curve(fractions: readonly number[], classes: number): SVGSVGElement {
  const last = Math.max(1, fractions.length - 1);
  const points = fractions.map((fraction, i) => `${x(i / last).toFixed(1)},${y(fraction).toFixed(1)}`);
  const middle = fractions[Math.round(last / 2)] ?? 0;
  const label =
    `Accuracy at ${fractions.length} stages: ${percent(fractions[0] ?? 0)} with random weights, ` +
    `${percent(middle)} masked, ${percent(fractions[last] ?? 0)} with its signs.`;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, class: "curve" },
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((fraction) => [
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(fraction), y2: y(fraction) }),
      svg("text", { class: "tick-label", x: LEFT - 8, y: y(fraction) + 4, "text-anchor": "end" }, percent(fraction, 0)),
    ]),
    svg("line", { class: "grid", x1: x(0.5), x2: x(0.5), y1: TOP, y2: HEIGHT - BOTTOM }),
    svg("line", { class: "chance", x1: LEFT, x2: WIDTH - RIGHT, y1: y(1 / classes), y2: y(1 / classes) }),
    svg("polyline", { class: "line", points: points.join(" ") }),
    ...fractions.map((fraction, i) => svg("circle", { class: "point", cx: x(i / last), cy: y(fraction), r: 3 })),
    svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, x1: x(1), x2: x(1) }),
    svg("text", { class: "tick-label", x: x(0), y: HEIGHT - 8 }, "random weights"),
    svg("text", { class: "tick-label", x: x(0.5), y: HEIGHT - 8, "text-anchor": "middle" }, "masked"),
    svg("text", { class: "tick-label", x: x(1), y: HEIGHT - 8, "text-anchor": "end" }, "signs"),
  );
}

/** Marks the stage, from 0 to 1, that is shown elsewhere. */
export function moveCursor(picture: Element, stage: number): void {
  const cursor = picture.querySelector(".cursor");
  cursor?.setAttribute("x1", String(x(stage)));
  cursor?.setAttribute("x2", String(x(stage)));
}
