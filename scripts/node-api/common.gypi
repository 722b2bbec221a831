# Stands in for the header folder of a Node installation: the addon uses Node-API alone, and its headers are an npm
# package. So it doesn't matter how Node was installed, and node-gyp has no headers to download.
{
  "target_defaults": {
    "default_configuration": "Release",
    "configurations": {
      "Release": { "cflags": ["-O3"] },
      "Debug": { "cflags": ["-g", "-O0"] }
    },
    "include_dirs": ["<!(node -p \"require('node-api-headers').include_dir\")"],
    "cflags": ["-fPIC", "-pthread"],
    "ldflags": ["-pthread"]
  }
}
