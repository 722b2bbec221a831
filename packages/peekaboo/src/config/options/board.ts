import { integer, optional, text } from "../kinds.js";
import { option } from "../table.js";

const LOOPBACK = "127.0.0.1";

/** Where the page that follows runs is served. */
export const boardOptions = {
  port: option({
    flags: "--port <n>",
    kind: optional(integer(1, 65_535)),
    default: null,
    defaultText: "the one that this folder's board last had, or a free one",
    help: "Port to listen on.",
  }),
  host: option({
    flags: "--host <address>",
    kind: text("an address or name of this machine"),
    default: LOOPBACK,
    defaultText: `${LOOPBACK}, this machine alone`,
    help: "Address to listen on; 0.0.0.0 is all there are, so that others reach the board, unencrypted.",
  }),
};
