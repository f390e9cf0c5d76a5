/* The module. */

#include "fast.h"

enum { EDITION = 2 }; /* __init__.py tells when to raise it */

/* Whether the environment says that the accelerator is not wanted. */
static const char *
pure(void)
{
    const char *value = getenv("PASTEPOOL_PURE");
    return value == NULL || *value == '\0' || strcmp(value, "0") == 0 ? NULL : value;
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pastepool._fast._native",
    .m_doc = "The usual case of what decides nothing, in C. See pastepool._fast.",
    .m_size = -1,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    if (pure() != NULL) {
        return PyErr_Format(PyExc_ImportError, "PASTEPOOL_PURE is %s: the accelerator is not used", pure());
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
