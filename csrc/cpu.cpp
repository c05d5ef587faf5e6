// What this processor can run: a tiny module built for the oldest level, asked before any other
// compiled module is loaded.
#include <Python.h>

namespace {

bool append(PyObject* list, const char* level) {
  PyObject* name = PyUnicode_FromString(level);
  const bool done = name != nullptr && PyList_Append(list, name) == 0;
  Py_XDECREF(name);
  return done;
}

// Levels of the x86-64 psABI, best first. __builtin_cpu_supports also asks the operating system
// whether it saves the wide registers.
PyObject* supported_levels(PyObject*, PyObject*) {
  PyObject* levels = PyList_New(0);
  bool done = levels != nullptr;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") &&
                  __builtin_cpu_supports("popcnt");
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (v4) done = done && append(levels, "x86-64-v4");
  if (v3) done = done && append(levels, "x86-64-v3");
  if (v2) done = done && append(levels, "x86-64-v2");
#endif
  done = done && append(levels, "generic");
  if (done) return levels;
  Py_XDECREF(levels);
  return nullptr;
}

PyMethodDef methods[] = {{"supported_levels", supported_levels, METH_NOARGS, nullptr},
                         {nullptr, nullptr, 0, nullptr}};
PyModuleDef_Slot slots[] = {{0, nullptr}};
PyModuleDef module = {PyModuleDef_HEAD_INIT,
                      "_cpu",
                      "Which instruction-set levels this processor runs, best first.",
                      0,
                      methods,
                      slots,
                      nullptr,
                      nullptr,
                      nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__cpu() { return PyModuleDef_Init(&module); }
