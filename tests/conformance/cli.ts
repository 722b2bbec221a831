import { withStandardStreams } from "#peekaboo/console/streams";
import { main } from "./main.js";

process.exitCode = await withStandardStreams((io) => main(process.argv.slice(2), io));
