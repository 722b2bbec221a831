export { NumpyArray, NumpyScalar, numpyGlobals } from "./numpy.js";
export { Complex, Inert, plainGlobals } from "./plain.js";
export { type Unpickled, type UnpickleOptions, unpickle } from "./unpickle.js";
export { isSequence, kindOf, type PickleDict, PickleGlobal, PickleObject, type PickleValue } from "./values.js";
