{
  "targets": [
    {
      "target_name": "peekaboo",
      "type": "loadable_module",
      "sources": ["<!@(node ../torch/scripts/units.mjs)"],
      "include_dirs": ["<!@(node ../torch/scripts/find-libtorch.mjs include)"],
      "cflags!": ["-O2"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-O2"],
      "cflags_cc": [
        "-O3", "-fopenmp", "-fexceptions", "-frtti", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra",
        # libtorch's own headers are not free of it.
        "-Wno-unused-parameter",
        "<!@(node ../torch/scripts/find-libtorch.mjs cflags)"
      ],
      "ldflags": ["-fopenmp"],
      "libraries": ["<!@(node ../torch/scripts/find-libtorch.mjs libs)"]
    }
  ]
}
