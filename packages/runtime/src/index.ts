export { createEngine, type Engine, type EngineOptions, type Network } from "./engine.js";
export { type ImageRule, imageInput, type PixelImage } from "./image.js";
export { type Guess, type LoadOptions, load, type Prediction, type Predictor, softmax } from "./predictor.js";
