{
  "targets": [
    {
      "target_name": "torch",
      "sources": [
        "native/addon.cc",
        "native/autograd.cc",
        "native/convert.cc",
        "native/dispatch.cc",
        "native/runtime.cc",
        "native/tensor.cc"
      ],
      "include_dirs": [
        "<!@(node -p \"require('node-addon-api').include\")",
        "<!@(node scripts/find-libtorch.mjs include)"
      ],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17"],
      "cflags_cc": [
        "-std=c++17", "-fexceptions", "-frtti", "-Wall", "-Wextra",
        # libtorch's and Node's own headers are not free of these.
        "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Wno-cast-function-type",
        "<!@(node scripts/find-libtorch.mjs cflags)"
      ],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS="],
      "libraries": ["<!@(node scripts/find-libtorch.mjs libs)"]
    }
  ]
}
