const START_OF_SCAN = 0xda;
const APP1 = 0xe1;
const END_OF_IMAGE = Buffer.of(0xff, 0xd9);
/** Start-of-frame markers: C0 … CF but for the Huffman tables, the reserved C8 and the arithmetic conditioning. */
const isFrame = (marker: number) => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
/** Bytes of a frame after its length, up to the number of components. */
const FRAME_BYTES = 6;

/** What the segments of a JPEG file tell. */
export interface JpegOutline {
  width: number;
  height: number;
  /** Colour components: 1 grey, 3 YCbCr or RGB, 4 CMYK or YCCK. */
  components: number;
  /** Whether there are EXIF data, which may hold an orientation. */
  hasExif: boolean;
  /** Whether an end-of-image marker follows the first scan's start: one that a thumbnail before it has doesn't count. */
  ends: boolean;
}

/** Reads the segments of a JPEG file up to the first scan (ITU-T T.81, annex B); undefined when they, or a frame, are missing. */
export function outlineJpeg(content: Buffer): JpegOutline | undefined {
  let frame: Pick<JpegOutline, "width" | "height" | "components"> | undefined;
  let hasExif = false;
  for (let at = 2; at + 4 <= content.length && content[at] === 0xff; ) {
    const { [at + 1]: marker = 0 } = content;
    const body = at + 4;
    if (marker === 0xff) {
      // Any number of them may fill the space before a marker.
      at += 1;
      continue;
    }
    if (marker === START_OF_SCAN) {
      return frame && { ...frame, hasExif, ends: content.lastIndexOf(END_OF_IMAGE) > at };
    }
    if (isFrame(marker) && body + FRAME_BYTES <= content.length) frame = frameOf(content, body);
    if (marker === APP1 && content.toString("latin1", body, body + 4) === "Exif") hasExif = true;
    at += 2 + content.readUInt16BE(at + 2);
  }
  return undefined;
}

function frameOf(content: Buffer, body: number): Pick<JpegOutline, "width" | "height" | "components"> {
  const height = content.readUInt16BE(body + 1);
  const width = content.readUInt16BE(body + 3);
  return { width, height, components: content.readUInt8(body + 5) };
}
