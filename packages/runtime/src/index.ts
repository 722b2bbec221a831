export { createEngine, type Engine, type EngineOptions, type Network } from "./engine.js";
