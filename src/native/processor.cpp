// What vector instructions the processor has, in the levels of the x86-64 ABI.

// The interface of the library: a new number whenever a function is added or changed, here and in
// core/native.py, so that a library that was compiled from older sources is left alone.
extern "C" int vs_interface() { return 1; }

extern "C" int vs_processor_level() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v3 ? (v4 ? 4 : 3) : 2;
#else
  return 0;
#endif
}
