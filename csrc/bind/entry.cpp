// The name under which Python finds a level's module; PYAE_ENTRY is PyInit_<that name>.
#include <Python.h>

PyMODINIT_FUNC PyInit__core();  // module.cpp; Python gives the module the name that it was found by

PyMODINIT_FUNC PYAE_ENTRY() { return PyInit__core(); }
