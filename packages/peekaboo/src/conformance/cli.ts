import { withStandardStreams } from "../console/streams.js";
import { main } from "./main.js";

process.exitCode = await withStandardStreams((io) => main(process.argv.slice(2), io));
