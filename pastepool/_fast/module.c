/* The module. */

#include "fast.h"

enum { EDITION = 6 }; /* __init__.py tells when to raise it */

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pastepool._fast._native",
    .m_doc = "The usual case of what decides nothing, in C. See pastepool._fast.",
    .m_size = -1,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    const char *pure = getenv("PASTEPOOL_PURE");
    if (pure != NULL && *pure != '\0' && strcmp(pure, "0") != 0) {
        return PyErr_Format(PyExc_ImportError, "PASTEPOOL_PURE is %s: the accelerator is not used", pure);
    }
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL
        && (PyModule_AddStringConstant(module, "LANGUAGE", "C") < 0
            || PyModule_AddIntConstant(module, "EDITION", EDITION) < 0 || add_head(module) < 0
            || add_response(module) < 0 || add_socket_io(module) < 0)) {
        Py_CLEAR(module);
    }
    return module;
}
