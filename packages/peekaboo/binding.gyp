{
  "targets": [
    {
      "target_name": "peekaboo",
      "type": "loadable_module",
      "sources": ["<!@(node scripts/of-torch.mjs units)"],
      "include_dirs": ["<!@(node scripts/of-torch.mjs find-libtorch include)"],
      "cflags!": ["-O2"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-O2"],
      "cflags_cc": [
        "-O3", "-fopenmp", "-fexceptions", "-frtti", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra",
        # libtorch's own headers are not free of it.
        "-Wno-unused-parameter",
        "<!@(node scripts/of-torch.mjs find-libtorch cflags)"
      ],
      "ldflags": ["-fopenmp"],
      "libraries": ["<!@(node scripts/of-torch.mjs find-libtorch libs)"]
    }
  ]
}
