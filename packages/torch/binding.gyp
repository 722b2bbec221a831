{
  "targets": [
    {
      "target_name": "torch",
      "sources": ["<!@(node scripts/units.mjs)"],
      "include_dirs": [
        "<!@(node -p \"require('node-addon-api').include\")",
        "<!@(node scripts/find-libtorch.mjs include)"
      ],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17"],
      "cflags_cc": [
        "-fexceptions", "-frtti", "-Wall", "-Wextra",
        # libtorch's and Node's own headers are not free of these.
        "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Wno-cast-function-type",
        "<!@(node scripts/find-libtorch.mjs cflags)"
      ],
      # Without the last, a thread that is ended in the middle of a call would take the process with it.
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS=", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      # Every symbol is bound at load: another libtorch's ABI fails there, with a message, not in the middle of a run.
      "ldflags": ["-Wl,-z,now"],
      "libraries": ["<!@(node scripts/find-libtorch.mjs libs)"]
    }
  ]
}
