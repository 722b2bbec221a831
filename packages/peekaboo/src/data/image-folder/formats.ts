/**
 * The endings of files that are images: what the installed sharp decodes, and BMP and Netpbm's, which it doesn't and
 * torchvision's ImageFolder has too. Not libvips' own format, which is memory as it lay there.
 */
export const IMAGE_ENDINGS: readonly string[] = [
  ...[".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".gif", ".avif"],
  ...[".svg", ".svgz", ".svg.gz", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm"],
];

/** Whether a file's name ends as an image's does, in upper or lower case. */
export function isImageName(name: string): boolean {
  return ENDING.test(name);
}

const ENDING = new RegExp(`(${IMAGE_ENDINGS.map((ending) => ending.replaceAll(".", "\\.")).join("|")})$`, "i");

/** By whom an image is decoded: JPEG, SVG and the rest by libvips in different ways, the others here. */
export type ImageFormat = "jpeg" | "bmp" | "netpbm" | "svg" | "svgz" | "other";

/** The first bytes of the formats; libvips would take many more, of which some are not for strangers' files. */
const SIGNATURES: readonly (readonly [format: ImageFormat, ...parts: (readonly [offset: number, text: string])[]])[] = [
  ["jpeg", [0, "\xff\xd8\xff"]],
  ["other", [0, "\x89PNG\r\n\x1a\n"]],
  ["other", [0, "RIFF"], [8, "WEBP"]],
  ...["II*\0", "MM\0*", "II+\0", "MM\0+", "GIF87a", "GIF89a"].map((text) => ["other", [0, text]] as const),
  ...["avif", "avis", "mif1", "msf1"].map((brand) => ["other", [4, `ftyp${brand}`]] as const),
  ["svgz", [0, "\x1f\x8b"]],
  ["bmp", [0, "BM"]],
  ...["P1", "P2", "P3", "P4", "P5", "P6"].map((magic) => ["netpbm", [0, magic]] as const),
];

/** What an SVG file begins with, but for comments, declarations and white space. */
const SVG = /^\ufeff?(?:\s|<\?[^>]*>|<!--[\s\S]*?-->|<!DOCTYPE[^>[]*>)*<(?:svg:)?svg[\s>]/;
const SVG_BEGINNING = 4096;

/** An image's format, by its contents; undefined for what is none of those that are decoded. */
export function formatOf(content: Buffer): ImageFormat | undefined {
  const matches = ([offset, text]: readonly [number, string]) =>
    content.toString("latin1", offset, offset + text.length) === text;
  const [format] = SIGNATURES.find(([, ...parts]) => parts.every(matches)) ?? [];
  if (format !== undefined) return format;
  return SVG.test(content.toString("utf8", 0, SVG_BEGINNING)) ? "svg" : undefined;
}
