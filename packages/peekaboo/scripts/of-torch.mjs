// Runs a script of @peekaboo/torch, wherever npm has put that, in this folder. Usage: node of-torch.mjs SCRIPT [WORD …]
import { fileURLToPath } from "node:url";

const [name, ...words] = process.argv.slice(2);
const script = new URL(`../scripts/${name}.mjs`, import.meta.resolve("@peekaboo/torch"));
process.argv = [process.argv[0], fileURLToPath(script), ...words];
await import(script.href);
