import sharp from "sharp";
import { textWidth } from "./text-width.js";

/** The colours of a picture, by pixel; fails where it isn't valid XML. */
export async function pixelsOf(svg: string): Promise<(x: number, y: number) => string> {
  const { data, info } = await sharp(Buffer.from(svg)).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return (x, y) => {
    const from = (Math.floor(y) * info.width + Math.floor(x)) * info.channels;
    return `#${data.subarray(from, from + 3).toString("hex")}`;
  };
}

interface DrawnText {
  text: string;
  fill: string;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** The texts of a picture with the room that they take at most, in pixels; those that are turned are left out. */
export function textsOf(svg: string): DrawnText[] {
  return Array.from(
    svg.matchAll(/<text (?![^>]*transform=)([^>]*)>([^<]*)<\/text>/g),
    ([, attributes = "", content = ""]) => {
      const read = (name: string) => new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
      const size = Number(read("font-size"));
      const text = content
        .replaceAll("&lt;", "<")
        .replaceAll("&gt;", ">")
        .replaceAll("&quot;", '"')
        .replaceAll("&amp;", "&");
      const width = textWidth(text, size, read("font-weight") === "bold" ? "bold" : "normal");
      const left = Number(read("x")) - width * ({ start: 0, middle: 0.5, end: 1 }[read("text-anchor")] ?? Number.NaN);
      const middle = Number(read("y")) - 0.35 * size;
      return {
        text,
        fill: read("fill"),
        left,
        right: left + width,
        top: middle - 0.5 * size,
        bottom: middle + 0.5 * size,
      };
    },
  );
}

/** The texts that reach out of the picture, and the pairs that share room. */
export function overlaps(texts: readonly DrawnText[], { width, height }: { width: number; height: number }): string[] {
  const outside = texts.filter(
    ({ left, right, top, bottom }) => left < 0 || right > width || top < 0 || bottom > height,
  );
  const pairs = texts.flatMap((a, index) =>
    texts
      .slice(index + 1)
      .filter((b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
      .map((b) => `${a.text} / ${b.text}`),
  );
  return [...outside.map(({ text }) => text), ...pairs];
}
