/* What the files of the accelerator share. __init__.py says what it is. */

#pragma once

/* No format with "#": what CPython 3.13 makes of it, an older one does not understand. */
#include <Python.h>
#include <structmember.h>

/* Each adds to the module what its file has. Returns -1 with an exception set. */
int add_head(PyObject *module);
int add_response(PyObject *module);
int add_socket_io(PyObject *module);

/* A function that takes `count` arguments. Its other callers see a TypeError. */
#define REFUSE_OTHER_COUNT(name, given, count)                                                        \
    if ((given) != (count)) {                                                                         \
        return PyErr_Format(PyExc_TypeError, name " takes %d arguments, not %zd", (count), (given));  \
    }

#define FAST_FUNCTION(function) ((PyCFunction)(void (*)(void))(function))
