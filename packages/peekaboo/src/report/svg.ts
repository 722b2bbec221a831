import { COLOURS } from "./colours.js";

/** A place in the picture, in pixels from its top left. */
export type Pixel = readonly [x: number, y: number];

/** A rectangle of the picture, in pixels from its top left. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

type Attributes = Readonly<Record<string, string | number>>;

/** An element as markup; its children are markup too: a text among them comes from {@link escaped}. */
export function element(name: string, attributes: Attributes, children: readonly string[] = []): string {
  const written = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${typeof value === "number" ? rounded(value) : escaped(value)}"`,
  );
  return `<${name}${written.join("")}>${children.join("")}</${name}>`;
}

/** A text as markup, without what XML forbids: control characters and halves of surrogate pairs become `\ufffd`. */
export function escaped(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, "\ufffd").replace(/[&<>"]/g, (mark) => entities[mark] ?? mark);
}

function rounded(pixels: number): number {
  return Math.round(pixels * 100) / 100;
}

export interface TextStyle {
  size?: number;
  weight?: "normal" | "bold";
  colour?: string;
  anchor?: "start" | "middle" | "end";
}

/** A line of text whose middle is at the height `y`. */
export function textAt([x, y]: Pixel, text: string, style: TextStyle = {}): string {
  const { size = 12, weight = "normal", colour = COLOURS.text, anchor = "start" } = style;
  const attributes = { "font-size": size, "font-weight": weight, fill: colour, "text-anchor": anchor };
  // Half the height of a capital below the middle; not every viewer knows `dominant-baseline`.
  return element("text", { x, y: y + 0.35 * size, ...attributes }, [escaped(text)]);
}

/** A straight line, sharp where it is level or upright. */
export function lineFrom([x1, y1]: Pixel, [x2, y2]: Pixel, stroke: Attributes): string {
  return element("line", { x1, y1, x2, y2, "shape-rendering": "crispEdges", ...stroke });
}

/** A filled rectangle. */
export function rectangle({ x, y, width, height }: Box, fill: string): string {
  return element("rect", { x, y, width, height, fill });
}

/** The line through the points, broken where one isn't finite. */
export function polyline(points: readonly Pixel[], stroke: Attributes): string {
  const commands = points.map(([x, y], index) => {
    if (!Number.isFinite(y)) return "";
    return `${Number.isFinite(points[index - 1]?.[1]) ? "L" : "M"}${rounded(x)} ${rounded(y)}`;
  });
  return element("path", { d: commands.join(""), fill: "none", "stroke-linejoin": "round", ...stroke });
}

/** A dot at each of the points that are finite. */
export function dots(points: readonly Pixel[], r: number, fill: string): string {
  const finite = points.filter(([, y]) => Number.isFinite(y));
  return finite.map(([cx, cy]) => element("circle", { cx, cy, r, fill })).join("");
}

/** What of the markup lies in the box. */
export function clipped({ x, y, width, height }: Box, content: readonly string[]): string {
  return element("svg", { x, y, width, height, viewBox: [x, y, width, height].map(rounded).join(" ") }, content);
}

/** A text that ends at a place, turned so that it rises to it. */
export function turnedText([x, y]: Pixel, text: string, { size = 12, colour = COLOURS.text }: TextStyle = {}): string {
  const attributes = { "font-size": size, fill: colour, "text-anchor": "end" };
  const transform = `translate(${rounded(x + 0.35 * size)} ${rounded(y)}) rotate(-60)`;
  return element("text", { ...attributes, transform }, [escaped(text)]);
}

/** A whole picture; a screen reader reads its title and description out. */
export function picture(
  { width, height }: Pick<Box, "width" | "height">,
  { title, description }: { title: string; description: string },
  content: readonly string[],
): string {
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  const attributes = { xmlns: "http://www.w3.org/2000/svg", ...size, role: "img", "font-family": "sans-serif" };
  const words = [element("title", {}, [escaped(title)]), element("desc", {}, [escaped(description)])];
  const background = rectangle({ x: 0, y: 0, width, height }, COLOURS.background);
  return `${element("svg", attributes, [...words, background, ...content])}\n`;
}
