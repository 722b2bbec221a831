import protobuf from "protobufjs";

/**
 * The parts of TensorFlow's and TensorBoard's schemas that a file of events needs; numbers and names are those of event.proto,
 * summary.proto, histogram.proto, tensor.proto, tensor_shape.proto and struct.proto, and of the hparams plugin's plugin_data.proto.
 * Source: https://github.com/tensorflow/tensorboard/tree/master/tensorboard (Apache-2.0).
 */
const SCHEMA = `
syntax = "proto3";
message Event {
  double wall_time = 1; int64 step = 2;
  oneof what { string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
}
message SessionLog { int32 status = 1; }
message Summary {
  message Image { int32 height = 1; int32 width = 2; int32 colorspace = 3; bytes encoded_image_string = 4; }
  message Value {
    string tag = 1; SummaryMetadata metadata = 9;
    oneof value { float simple_value = 2; Image image = 4; HistogramProto histo = 5; TensorProto tensor = 8; }
  }
  repeated Value value = 1;
}
message SummaryMetadata {
  message PluginData { string plugin_name = 1; bytes content = 2; }
  PluginData plugin_data = 1;
}
message HistogramProto {
  double min = 1; double max = 2; double num = 3; double sum = 4; double sum_squares = 5;
  repeated double bucket_limit = 6; repeated double bucket = 7;
}
message TensorProto { int32 dtype = 1; TensorShapeProto tensor_shape = 2; repeated float float_val = 5; }
message TensorShapeProto {}
message HParamsPluginData {
  oneof data { SessionStartInfo session_start_info = 3; SessionEndInfo session_end_info = 4; }
}
message SessionStartInfo { map<string, StructValue> hparams = 1; double start_time_secs = 5; }
message SessionEndInfo { int32 status = 1; double end_time_secs = 2; }
message StructValue { oneof kind { double number_value = 2; string string_value = 3; bool bool_value = 4; } }
`;

/** SessionLog.SessionStatus, DataType and Status, of which each has one value here. */
export const START = 1;
export const FLOAT = 1;
export const SUCCESS = 1;

/** One figure or picture of a summary. */
export interface SummaryValue {
  tag: string;
  metadata?: { pluginData: { pluginName: string; content: Uint8Array } };
  simpleValue?: number;
  image?: { height: number; width: number; colorspace: number; encodedImageString: Uint8Array };
  histo?: Histogram;
  tensor?: { dtype: number; tensorShape: object; floatVal: readonly number[] };
}

/** How many of some values lie up to each limit, from the limit before on. */
export interface Histogram {
  min: number;
  max: number;
  num: number;
  sum: number;
  sumSquares: number;
  bucketLimit: readonly number[];
  bucket: readonly number[];
}

export interface Event {
  /** Seconds since 1970. */
  wallTime: number;
  step?: number;
  fileVersion?: string;
  summary?: { value: readonly SummaryValue[] };
  sessionLog?: { status: number };
}

/** A value of a setting. */
export type HParam = { numberValue: number } | { stringValue: string } | { boolValue: boolean };

export interface HParamsData {
  sessionStartInfo?: { hparams: Readonly<Record<string, HParam>>; startTimeSecs: number };
  sessionEndInfo?: { status: number; endTimeSecs: number };
}

const { root } = protobuf.parse(SCHEMA);
// Only then does it know that proto3 packs numbers.
root.resolveAll();
const eventType = root.lookupType("Event");
const hparamsType = root.lookupType("HParamsPluginData");

export function encodeEvent(event: Event): Uint8Array {
  return eventType.encode({ ...event }).finish();
}

export function encodeHParams(data: HParamsData): Uint8Array {
  return hparamsType.encode({ ...data }).finish();
}
